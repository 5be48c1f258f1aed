import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * As much of the C library as a chat client needs, over JNA.
 *
 * <p>Each method is the function of its name in securechat.h, which is the manual. What fails throws a {@link Failure} with the
 * status. A client is for one thread at a time. Sizes are {@code long}: this is for systems with 64 bits.
 */
final class Securechat implements AutoCloseable {
    private interface Functions extends Library {
        String securechat_status_message(int status);
        int securechat_constant(byte[] name, long length, LongByReference value);
        int securechat_address_parse(byte[] from, long length, AddressStruct address, long size);

        int securechat_client_new(Pointer config, byte[] user, long userLength, byte[] key, RecordStruct records, long count,
                int history, long generation, long now, PointerByReference client);
        void securechat_client_free(Pointer client);
        String securechat_client_error(Pointer client);
        int securechat_client_about(Pointer client, InfoStruct info, long size);
        int securechat_client_next_save(Pointer client, RecordStruct record);
        int securechat_client_save_done(Pointer client);
        int securechat_client_register(Pointer client, byte[] password, long length, long now);
        int securechat_client_list_users(Pointer client, long now);
        int securechat_client_safety_number(Pointer client, byte[] name, long length, long now, byte[] digits);
        int securechat_client_send(Pointer client, byte[] to, long toLength, int message, byte[] target, byte[] data, long length,
                long now, byte[] id);
        int securechat_client_send_file(Pointer client, byte[] to, long toLength, byte[] name, long nameLength, long size,
                byte[] mediaType, long mediaTypeLength, long now, byte[] file, byte[] id);
        int securechat_client_supply_file(Pointer client, byte[] file, long chunk, byte[] data, long length, long now);
        int securechat_client_accept_file(Pointer client, byte[] file, long now);
        int securechat_client_cancel_file(Pointer client, byte[] file, long now);
        int securechat_client_connect_relay(Pointer client, byte[] address, long length, long now, IntByReference link);
        int securechat_client_close_link(Pointer client, int link, long now);
        int securechat_client_input(Pointer client, int link, byte[] data, long length, long now);
        int securechat_client_end(Pointer client, int link, long now);
        int securechat_client_output(Pointer client, int link, PointerByReference data, LongByReference length);
        int securechat_client_output_consume(Pointer client, int link, long count);
        int securechat_client_tick(Pointer client, long now, LongByReference next);
        int securechat_client_next_event(Pointer client, EventStruct event, long size);
    }

    private static final Functions C = load();

    private static Functions load() {
        String folder = System.getenv("SECURECHAT_LIB");
        String name = folder == null ? "securechat" : folder + "/" + System.mapLibraryName("securechat");
        return Native.load(name, Functions.class, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
    }

    @Structure.FieldOrder({"key", "keyLength", "value", "valueLength"})
    public static class RecordStruct extends Structure {
        public Pointer key;
        public long keyLength;
        public Pointer value;
        public long valueLength;
    }

    @Structure.FieldOrder({"identity", "fingerprint", "generation", "unsent", "registered", "reserved"})
    public static class InfoStruct extends Structure {
        public byte[] identity = new byte[32];
        public byte[] fingerprint = new byte[32];
        public long generation;
        public long unsent;
        public int registered;
        public int reserved;
    }

    @Structure.FieldOrder({"host", "fingerprint", "port", "pinned"})
    public static class AddressStruct extends Structure {
        public byte[] host = new byte[256];
        public byte[] fingerprint = new byte[32];
        public int port;
        public int pinned;
    }

    @Structure.FieldOrder({"kind", "link", "status", "code", "request", "trust", "presence", "flags", "message", "seconds",
        "connection", "time", "chunk", "offset", "length", "total", "id", "file", "target", "device", "fingerprint", "expected",
        "user", "userLength", "data", "dataLength", "name", "nameLength", "mediaType", "mediaTypeLength", "ids", "idsCount",
        "devices", "devicesCount", "removed", "removedCount", "group"})
    public static class EventStruct extends Structure {
        public int kind, link, status, code, request, trust, presence, flags, message, seconds;
        public long connection, time, chunk, offset, length, total;
        public byte[] id = new byte[16], file = new byte[16], target = new byte[16];
        public byte[] device = new byte[32], fingerprint = new byte[32], expected = new byte[32];
        public Pointer user;
        public long userLength;
        public Pointer data;
        public long dataLength;
        public Pointer name;
        public long nameLength;
        public Pointer mediaType;
        public long mediaTypeLength;
        public Pointer ids;
        public long idsCount;
        public Pointer devices;
        public long devicesCount;
        public Pointer removed;
        public long removedCount;
        public byte[] group = new byte[40];
    }

    /** Something that happened, copied: the header says which fields each kind sets. */
    record Event(int kind, int link, int status, int code, int request, int trust, int presence, int flags, int message, long chunk, long offset,
            long length, long total, byte[] file, byte[] fingerprint, byte[] expected, String user, String name, byte[] data,
            long ids, String group) {
        boolean has(String flag) {
            return (flags & constant("FLAG_" + flag)) != 0;
        }
    }

    /** A call that failed. */
    static final class Failure extends Exception {
        private static final long serialVersionUID = 1;
        final int status;

        Failure(int status, String detail) {
            super(detail);
            this.status = status;
        }
    }

    /** What a save hands over: values to put, null to delete; one transaction. */
    interface Store {
        void save(Map<String, byte[]> records) throws IOException;
    }

    /** What writes to a connection, as a channel does: it takes what it can. */
    interface Sink {
        int write(ByteBuffer data) throws IOException;
    }

    record Address(String host, int port) {}

    /** A constant of the header without its prefix. */
    static int constant(String name) {
        return named("SECURECHAT_" + name);
    }

    private static int named(String name) {
        LongByReference value = new LongByReference();
        if (C.securechat_constant(bytes(name), bytes(name).length, value) != 0) {
            throw new IllegalArgumentException("there is no " + name);
        }
        return (int) value.getValue();
    }

    static {
        // A struct that was copied wrongly shows here and not as garbage later; a newer library may have more at its end.
        Map.of("securechat_record", new RecordStruct(), "securechat_client_info", new InfoStruct(),
                "securechat_address", new AddressStruct(), "securechat_event", new EventStruct()).forEach((name, struct) -> {
            if (struct.size() > named("sizeof " + name)) {
                throw new IllegalStateException(name + " is not as the library has it");
            }
        });
    }

    static String statusMessage(int status) {
        return C.securechat_status_message(status);
    }

    static Address parseAddress(String text) throws Failure {
        AddressStruct made = new AddressStruct();
        int status = C.securechat_address_parse(bytes(text), bytes(text).length, made, made.size());
        if (status != 0) {
            throw new Failure(status, statusMessage(status));
        }
        return new Address(Native.toString(made.host, "UTF-8"), made.port);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] copy(Pointer data, long length) {
        return length == 0 ? new byte[0] : data.getByteArray(0, (int) length);
    }

    private static String text(Pointer data, long length) {
        return new String(copy(data, length), StandardCharsets.UTF_8);
    }

    /** The time, which never runs backwards. */
    private long now() {
        return last = Math.max(last, System.currentTimeMillis());
    }

    private Pointer client;
    private long last;

    /** Makes a client of all records that saves ever gave and did not delete. */
    Securechat(String user, byte[] key, Map<String, byte[]> records) throws Failure {
        if (key.length != 32) {
            throw new IllegalArgumentException("the key has 32 bytes");
        }
        RecordStruct[] array = (RecordStruct[]) new RecordStruct().toArray(Math.max(1, records.size()));
        int count = 0;
        for (Map.Entry<String, byte[]> entry : records.entrySet()) {
            RecordStruct record = array[count++];
            record.keyLength = entry.getKey().length();
            record.key = memory(bytes(entry.getKey()));
            record.valueLength = entry.getValue().length;
            record.value = memory(entry.getValue());
        }
        PointerByReference made = new PointerByReference();
        int status = C.securechat_client_new(null, bytes(user), bytes(user).length, key, array[0], count,
                constant("HISTORY_CONTINUED"), 0, now(), made);
        if (status != 0) {
            throw new Failure(status, statusMessage(status));
        }
        client = made.getValue();
    }

    private static Memory memory(byte[] data) {
        Memory memory = new Memory(Math.max(1, data.length));
        memory.write(0, data, 0, data.length);
        return memory;
    }

    @Override
    public void close() {
        C.securechat_client_free(client);
        client = null;
    }

    private void check(int status) throws Failure {
        if (status != 0) {
            throw new Failure(status, C.securechat_client_error(client));
        }
    }

    /** Hands what is to be saved to {@code store}, and says that it is durable when that returns. */
    boolean save(Store store) throws Failure, IOException {
        Map<String, byte[]> records = new LinkedHashMap<>();
        RecordStruct record = new RecordStruct();
        for (;;) {
            check(C.securechat_client_next_save(client, record));
            if (record.key == null) {
                break;
            }
            records.put(text(record.key, record.keyLength), record.value == null ? null : copy(record.value, record.valueLength));
        }
        if (records.isEmpty()) {
            return false;
        }
        store.save(records);
        check(C.securechat_client_save_done(client));
        return true;
    }

    private InfoStruct about() throws Failure {
        InfoStruct info = new InfoStruct();
        check(C.securechat_client_about(client, info, info.size()));
        return info;
    }

    boolean registered() throws Failure {
        return about().registered == 1;
    }

    long unsent() throws Failure {
        return about().unsent;
    }

    void register(String password) throws Failure {
        check(C.securechat_client_register(client, bytes(password), bytes(password).length, now()));
    }

    void listUsers() throws Failure {
        check(C.securechat_client_list_users(client, now()));
    }

    String safetyNumber(String user) throws Failure {
        byte[] digits = new byte[61];
        check(C.securechat_client_safety_number(client, bytes(user), bytes(user).length, now(), digits));
        return Native.toString(digits, "US-ASCII");
    }

    byte[] sendText(String to, String text) throws Failure {
        byte[] id = new byte[16];
        check(C.securechat_client_send(client, bytes(to), bytes(to).length, constant("MESSAGE_TEXT"), null, bytes(text),
                bytes(text).length, now(), id));
        return id;
    }

    /** Offers a file and gives its number. */
    byte[] sendFile(String to, String name, long size) throws Failure {
        byte[] file = new byte[16];
        byte[] type = bytes("application/octet-stream");
        check(C.securechat_client_send_file(client, bytes(to), bytes(to).length, bytes(name), bytes(name).length, size, type,
                type.length, now(), file, new byte[16]));
        return file;
    }

    void supplyFile(byte[] file, long chunk, byte[] data) throws Failure {
        check(C.securechat_client_supply_file(client, file, chunk, data, data.length, now()));
    }

    void acceptFile(byte[] file) throws Failure {
        check(C.securechat_client_accept_file(client, file, now()));
    }

    void cancelFile(byte[] file) throws Failure {
        check(C.securechat_client_cancel_file(client, file, now()));
    }

    int connectRelay(String address) throws Failure {
        IntByReference link = new IntByReference();
        check(C.securechat_client_connect_relay(client, bytes(address), bytes(address).length, now(), link));
        return link.getValue();
    }

    void closeLink(int link) throws Failure {
        check(C.securechat_client_close_link(client, link, now()));
    }

    void input(int link, byte[] data, int length) throws Failure {
        check(C.securechat_client_input(client, link, data, length, now()));
    }

    void end(int link) throws Failure {
        check(C.securechat_client_end(client, link, now()));
    }

    /** Lends what is to be written, as it lies, to {@code sink}, which takes what it can; says whether something is left. */
    boolean output(int link, Sink sink) throws Failure, IOException {
        PointerByReference data = new PointerByReference();
        LongByReference length = new LongByReference();
        for (;;) {
            check(C.securechat_client_output(client, link, data, length));
            if (length.getValue() == 0) {
                return false;
            }
            int count = sink.write(data.getValue().getByteBuffer(0, length.getValue()));
            check(C.securechat_client_output_consume(client, link, count));
            if (count == 0) {
                return true;
            }
        }
    }

    /** Does what is due, and says in how many milliseconds something is again; an hour at most. */
    long tick() throws Failure {
        LongByReference next = new LongByReference();
        check(C.securechat_client_tick(client, now(), next));
        long left = next.getValue() - now();
        // Never is the largest number, which Java takes for -1.
        return next.getValue() < 0 ? 3_600_000 : Math.min(Math.max(left, 0), 3_600_000);
    }

    /** The next event, or null. */
    Event nextEvent() throws Failure {
        EventStruct e = new EventStruct();
        check(C.securechat_client_next_event(client, e, e.size()));
        if (e.kind == 0) {
            return null;
        }
        return new Event(e.kind, e.link, e.status, e.code, e.request, e.trust, e.presence, e.flags, e.message, e.chunk, e.offset, e.length,
                e.total, e.file, e.fingerprint, e.expected, text(e.user, e.userLength), text(e.name, e.nameLength),
                copy(e.data, e.dataLength), e.idsCount, Native.toString(e.group, "US-ASCII"));
    }
}
