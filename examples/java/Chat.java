import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * A small chat for the terminal, on the C library: texts and files through a relay, to users and groups.
 *
 * <pre>SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… java Chat USER 'host:port#fingerprint' STATE-FILE DOWNLOADS</pre>
 *
 * The passphrase protects the saved state, the password is that of the account.
 */
final class Chat {
    private static final String HELP = """
        /pm USER TEXT      a text to a user or a #group; a line without a command goes there again
        /file USER PATH    offer a file
        /accept [NUMBER]   take an offered file
        /users             who is there
        /verify USER       the safety number, to be compared with what the other one sees
        /quit              as the end of the input: when everything is sent""";
    private static final HexFormat HEX = HexFormat.of();
    private static final String END = "/quit";

    private final String user;
    private final String relay;
    private final String password;
    private final Storage storage;
    private final Securechat client;
    private final Selector selector = Selector.open();
    private final Queue<String> lines = new ConcurrentLinkedQueue<>();
    private final Transfers files;
    private final List<Securechat.Event> offers = new ArrayList<>();
    private final Map<Integer, String> kinds = new HashMap<>();
    private SocketChannel channel;
    private int link;
    private int failures;
    private long dialAt;
    private boolean ended;
    private int status;
    private String partner = "";

    private Chat(String[] arguments, String passphrase, String password)
            throws IOException, GeneralSecurityException, Securechat.Failure {
        user = arguments[0];
        relay = arguments[1];
        this.password = password;
        storage = new Storage(Path.of(arguments[2]));
        client = new Securechat(user, storage.key(passphrase), storage.records);
        files = new Transfers(client, Path.of(arguments[3]), Chat::say);
        for (String kind : List.of("VERIFY", "OPEN", "LINK_CLOSED", "LOGGED_IN", "REFUSED", "USER", "USER_UNKNOWN", "LISTS_AGREE",
                "KEYS_CHANGED", "MESSAGE", "DELIVERED", "FAILED", "FILE_OFFERED", "FILE_NEED", "FILE_CHUNK", "FILE_SENT",
                "FILE_RECEIVED", "FILE_FAILED", "GROUP_JOINED")) {
            kinds.put(Securechat.constant("EVENT_" + kind), kind);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String passphrase = System.getenv("SECURECHAT_PASSPHRASE");
        String password = System.getenv("SECURECHAT_PASSWORD");
        if (arguments.length != 4 || passphrase == null || password == null) {
            System.err.println("SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… java Chat USER 'host:port#fingerprint' STATE-FILE DOWNLOADS");
            System.exit(2);
        }
        try {
            System.exit(new Chat(arguments, passphrase, password).run());
        } catch (Securechat.Failure | IOException error) {
            say(error.getMessage());
            System.exit(5);
        }
    }

    /** Prints a line. What others wrote may hold control characters that a terminal obeys: they are replaced. */
    private static void say(String line) {
        System.out.writeBytes((line.replaceAll("[\\p{C}\\p{Zl}\\p{Zp}]", "\ufffd") + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    /** Until the end of the input, and then until everything is sent. */
    private int run() throws IOException, Securechat.Failure {
        Thread typed = new Thread(this::readLines);
        typed.setDaemon(true);
        typed.start();
        for (;;) {
            if (channel == null && System.currentTimeMillis() >= dialAt) {
                dial();
            }
            long due = settle();
            if (status != 0 || (ended && client.registered() && client.unsent() == 0 && files.isEmpty())) {
                return stop();
            }
            long wait = channel != null ? due : Math.min(due, Math.max(1, dialAt - System.currentTimeMillis()));
            if (lines.isEmpty()) {
                selector.select(Math.max(1, wait));
            }
            if (channel != null && selector.selectedKeys().stream().anyMatch(key -> key.isValid() && key.isReadable())) {
                read();
            }
            selector.selectedKeys().clear();
            for (String line; (line = lines.poll()) != null; ) {
                try {
                    obey(line);
                } catch (IOException | Securechat.Failure error) {
                    say(error.getMessage());
                }
            }
        }
    }

    private void readLines() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = in.readLine()) != null; selector.wakeup()) {
                lines.add(line);
            }
        } catch (IOException ignored) {
            // An input that breaks has ended.
        }
        lines.add(END);
        selector.wakeup();
    }

    /** Saves, writes and handles events until there is nothing of either; in this order, so that nothing leaves unsaved. */
    private long settle() throws IOException, Securechat.Failure {
        long due = client.tick();
        for (;;) {
            boolean saved = client.save(storage::save);
            if (channel != null) {
                boolean left = client.output(link, this::write);
                channel.keyFor(selector).interestOps(left ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
            }
            Securechat.Event event = client.nextEvent();
            if (event != null) {
                handle(event);
            } else if (!saved) {
                return Math.min(due, client.tick());
            }
        }
    }

    private void dial() throws Securechat.Failure {
        try {
            Securechat.Address place = Securechat.parseAddress(relay);
            SocketChannel opened = SocketChannel.open();
            opened.socket().connect(new InetSocketAddress(place.host(), place.port()), 10_000);
            opened.configureBlocking(false);
            opened.register(selector, SelectionKey.OP_READ);
            link = client.connectRelay(relay);
            channel = opened;
        } catch (IOException | RuntimeException error) {
            say("not connected: " + error.getMessage());
            dialAt = System.currentTimeMillis() + Math.min(1000L << Math.min(failures++, 6), 60_000);
        }
    }

    private void read() throws IOException, Securechat.Failure {
        ByteBuffer buffer = ByteBuffer.allocate(65536);
        int count;
        try {
            count = channel.read(buffer);
        } catch (IOException broken) {
            count = -1;
        }
        if (count < 0) {
            client.end(link);
        } else {
            client.input(link, buffer.array(), count);
        }
    }

    private int write(ByteBuffer data) {
        try {
            return channel.write(data);
        } catch (IOException broken) {
            return 0; // which shows when it is read from
        }
    }

    private void hangUp() throws IOException, Securechat.Failure {
        if (channel != null) {
            channel.close();
            channel = null;
            client.end(link);
            dialAt = System.currentTimeMillis() + Math.min(1000L << Math.min(failures++, 6), 60_000);
        }
    }

    private int stop() throws IOException, Securechat.Failure {
        if (channel != null) {
            client.closeLink(link);
            settle();
            hangUp();
        }
        client.close();
        return status;
    }

    private void handle(Securechat.Event event) throws IOException, Securechat.Failure {
        String from = event.user();
        switch (kinds.getOrDefault(event.kind(), "")) {
            case "OPEN" -> {
                failures = 0;
                if (!client.registered()) {
                    client.register(password);
                }
            }
            case "VERIFY" -> {
                say(event.has("EXPECTED")
                        ? "the key of the relay HAS CHANGED: expected " + HEX.formatHex(event.expected())
                        : "if this fingerprint is right, put it behind the address, after a #");
                say("the relay shows the fingerprint " + HEX.formatHex(event.fingerprint()));
                status = 6;
                client.closeLink(event.link());
            }
            case "LINK_CLOSED" -> {
                if (event.status() != 0) {
                    say("the connection ended: " + Securechat.statusMessage(event.status()));
                }
                hangUp();
            }
            case "LOGGED_IN" -> say(event.has("LISTED") ? "logged in as " + user : "another device of yours has to approve this one");
            case "REFUSED" -> {
                say("the relay refused (" + event.code() + ")");
                status = event.request() == Securechat.constant("REQUEST_REGISTER") ? 4 : status;
            }
            case "USER" -> {
                if (!from.isEmpty()) {
                    say(from + " is " + (event.presence() == Securechat.constant("PRESENCE_OFFLINE") ? "offline" : "there"));
                }
            }
            case "USER_UNKNOWN" -> say("there is no user " + from + " here");
            case "LISTS_AGREE" -> say("/verify " + from + " can show the safety number now");
            case "KEYS_CHANGED" -> say("the keys of " + from + " HAVE CHANGED: nothing is sent to them any more");
            case "MESSAGE" -> {
                if (event.message() == Securechat.constant("MESSAGE_TEXT")) {
                    boolean changed = event.trust() == Securechat.constant("TRUST_VIOLATION");
                    say(from + (changed ? " (KEYS CHANGED)" : "") + where(event) + ": " + new String(event.data(), StandardCharsets.UTF_8));
                }
            }
            case "DELIVERED" -> say(from + " received " + event.ids());
            case "FAILED" -> say("a message cannot be sent: " + Securechat.statusMessage(event.status()));
            case "FILE_OFFERED" -> {
                offers.add(event);
                say(from + where(event) + " offers " + event.name() + " (" + event.total() + " bytes): /accept " + offers.size() + " takes it");
            }
            case "GROUP_JOINED" -> say("you are in " + event.group()
                    + (event.has("OPEN") ? " (open: whoever can register at the relay reads it, its operator included)" : ""));
            case "FILE_NEED" -> files.supply(event);
            case "FILE_CHUNK" -> files.write(event);
            case "FILE_SENT" -> files.sent(event.file());
            case "FILE_RECEIVED" -> files.keep(event.file());
            case "FILE_FAILED" -> files.lose(event.file(), Securechat.statusMessage(event.status()));
            default -> { }
        }
    }

    /** In which group it came, and what has to be said of that. */
    private static String where(Securechat.Event event) {
        String late = event.has("BEFORE_REMOVAL") ? " (who did not know yet of a removal: who was removed may read this)" : "";
        return event.group().isEmpty() ? "" : " in " + event.group() + late;
    }

    private void obey(String line) throws IOException, Securechat.Failure {
        String[] words = (line + "   ").split(" ", 3);
        String rest = words[2].stripTrailing();
        switch (words[0]) {
            case "" -> { }
            case END -> ended = true;
            case "/pm" -> client.sendText(partner = words[1], rest);
            case "/file" -> files.send(words[1], Path.of(rest));
            case "/accept" -> {
                int number = words[1].matches("\\d{1,9}") ? Integer.parseInt(words[1]) : offers.size();
                if (number < 1 || number > offers.size()) {
                    throw new IOException("there is no such offer");
                }
                files.accept(offers.get(number - 1));
            }
            case "/users" -> client.listUsers();
            case "/verify" -> say("safety number with " + words[1] + ": " + client.safetyNumber(words[1]));
            default -> {
                if (line.startsWith("/")) {
                    System.out.println(HELP);
                } else if (partner.isEmpty()) {
                    say("to whom? /pm USER TEXT");
                } else {
                    client.sendText(partner, line);
                }
            }
        }
    }
}
