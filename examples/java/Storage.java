import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

/** The records of a client in one file, which is replaced as a whole: a save is there completely or not at all. */
final class Storage {
    static final FileAttribute<?> OURS = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final Path file;
    private final byte[] salt = new byte[16];
    final Map<String, byte[]> records = new LinkedHashMap<>();

    Storage(Path file) throws IOException {
        this.file = file.toAbsolutePath();
        // Two programs on one state would use the same keys twice. The lock ends with the program.
        Path lock = this.file.resolveSibling(file.getFileName() + ".lock");
        if (FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE).tryLock() == null) {
            throw new IOException(file + " is in use");
        }
        if (Files.notExists(file)) {
            new SecureRandom().nextBytes(salt);
            return;
        }
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            in.readFully(salt);
            for (int left = in.readInt(); left > 0; left--) {
                String key = in.readUTF();
                byte[] value = new byte[in.readInt()];
                in.readFully(value);
                records.put(key, value);
            }
        }
    }

    /** The passphrase made into a key, slowly: whoever has the file has to pay for each guess. */
    byte[] key(String passphrase) throws GeneralSecurityException {
        SecretKeyFactory factory = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256");
        return factory.generateSecret(new PBEKeySpec(passphrase.toCharArray(), salt, 600_000, 256)).getEncoded();
    }

    void save(Map<String, byte[]> changes) throws IOException {
        changes.forEach((key, value) -> {
            if (value == null) {
                records.remove(key);
            } else {
                records.put(key, value);
            }
        });
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.write(salt);
        out.writeInt(records.size());
        for (Map.Entry<String, byte[]> record : records.entrySet()) {
            out.writeUTF(record.getKey());
            out.writeInt(record.getValue().length);
            out.write(record.getValue());
        }
        Path next = file.resolveSibling(file.getFileName() + ".new");
        Files.deleteIfExists(next);
        try (FileChannel channel = newFile(next)) {
            ByteBuffer left = ByteBuffer.wrap(bytes.toByteArray());
            while (left.hasRemaining()) {
                channel.write(left);
            }
            channel.force(true);
        }
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        try (FileChannel folder = FileChannel.open(file.getParent(), StandardOpenOption.READ)) {
            folder.force(true); // only now is the new name durable too
        }
    }

    /** A new file that only this user can read. */
    static FileChannel newFile(Path path) throws IOException {
        return FileChannel.open(path, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), OURS);
    }

    /**
     * A new path for a file of this name, or of the first free one like it; nothing that exists is touched. The library made the
     * name of an offer a safe one: no folder, no device, nothing that a shell or a terminal minds.
     */
    static Path claim(Path folder, String name, String ending) throws IOException {
        Files.createDirectories(folder);
        int dot = name.lastIndexOf('.') > 0 ? name.lastIndexOf('.') : name.length();
        for (int number = 0; number < 1000; number++) {
            String numbered = number == 0 ? name : name.substring(0, dot) + " (" + number + ")" + name.substring(dot);
            Path path = folder.resolve(numbered + ending);
            try {
                newFile(path).close();
                return path;
            } catch (FileAlreadyExistsException taken) {
                continue;
            }
        }
        throw new IOException("there are too many files like " + name + " in " + folder);
    }
}
