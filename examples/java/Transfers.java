import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.function.Consumer;

/** Files on their way: read where they lie, written as {@code NAME.part} until they are whole. */
final class Transfers {
    private record Transfer(String user, String name, Path part, FileChannel channel) {}

    private final Securechat client;
    private final Path downloads;
    private final Consumer<String> say;
    private final Map<String, Transfer> files = new HashMap<>();

    Transfers(Securechat client, Path downloads, Consumer<String> say) {
        this.client = client;
        this.downloads = downloads;
        this.say = say;
    }

    boolean isEmpty() {
        return files.isEmpty();
    }

    private static String name(byte[] number) {
        return HexFormat.of().formatHex(number);
    }

    void send(String to, Path path) throws IOException, Securechat.Failure {
        if (!Files.isRegularFile(path)) { // opening a pipe would wait for its other end
            throw new IOException(path + " is not a file");
        }
        String name = path.getFileName().toString();
        FileChannel opened = FileChannel.open(path);
        files.put(name(client.sendFile(to, name, opened.size())), new Transfer(to, name, null, opened));
    }

    void accept(Securechat.Event offer) throws IOException, Securechat.Failure {
        client.acceptFile(offer.file());
        Path part = Storage.claim(downloads, offer.name(), ".part");
        FileChannel opened = FileChannel.open(part, StandardOpenOption.WRITE);
        files.put(name(offer.file()), new Transfer(offer.user(), offer.name(), part, opened));
    }

    /** Hands in bytes of a file. One from before a restart is not open any more and has to be offered again. */
    void supply(Securechat.Event need) throws IOException, Securechat.Failure {
        Transfer file = files.get(name(need.file()));
        if (file == null) {
            client.cancelFile(need.file());
            return;
        }
        try {
            ByteBuffer content = ByteBuffer.allocate((int) need.length());
            while (content.hasRemaining() && file.channel().read(content, need.offset() + content.position()) >= 0) { }
            // Where the file has become shorter, the library says so.
            client.supplyFile(need.file(), need.chunk(), Arrays.copyOf(content.array(), content.position()));
        } catch (IOException | Securechat.Failure error) {
            client.cancelFile(need.file());
            lose(need.file(), error.getMessage());
        }
    }

    /** Writes bytes of a file where they belong. */
    void write(Securechat.Event chunk) throws IOException, Securechat.Failure {
        Transfer file = files.get(name(chunk.file()));
        if (file == null) {
            client.cancelFile(chunk.file());
            return;
        }
        try {
            ByteBuffer left = ByteBuffer.wrap(chunk.data());
            while (left.hasRemaining()) {
                file.channel().write(left, chunk.offset() + left.position());
            }
        } catch (IOException error) {
            client.cancelFile(chunk.file());
            lose(chunk.file(), error.getMessage());
        }
    }

    void sent(byte[] number) throws IOException {
        Transfer file = take(number);
        if (file != null) {
            say.accept(file.name() + " is sent to " + file.user());
        }
    }

    /** Gives a whole file its name. */
    void keep(byte[] number) throws IOException {
        Transfer file = take(number);
        if (file != null) {
            Path path = Storage.claim(downloads, file.name(), "");
            Files.move(file.part(), path, StandardCopyOption.REPLACE_EXISTING);
            say.accept("saved from " + file.user() + ": " + path);
        }
    }

    void lose(byte[] number, String reason) throws IOException {
        Transfer file = take(number);
        if (file != null) {
            if (file.part() != null) {
                Files.delete(file.part());
            }
            say.accept(file.name() + " (" + file.user() + ") did not get through: " + reason);
        }
    }

    private Transfer take(byte[] number) throws IOException {
        Transfer file = files.remove(name(number));
        if (file != null) {
            if (file.part() != null) {
                file.channel().force(true);
            }
            file.channel().close();
        }
        return file;
    }
}
