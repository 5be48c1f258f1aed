/* Seals a file to chunks, for a storage or a carrier that nobody has to trust, and opens it again, whole or not at all.
 *
 *     sealfile seal FILE FOLDER KEYFILE    FOLDER gets the sealed chunks 0, 1, ...; KEYFILE what opens them: keep it secret
 *     sealfile open KEYFILE FOLDER         the file appears here under its name; nothing is overwritten
 */
#include "net.h"
#include <securechat.h>
#include <sys/stat.h>

static uint8_t plain[SECURECHAT_CHUNK_SIZE], sealed[SECURECHAT_SEALED_CHUNK_MAX];

static void check(securechat_status status) {
    if (status != SECURECHAT_OK)
        die("%s", securechat_status_message(status));
}

static const char *chunk_path(const char *folder, uint64_t index) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%llu", folder, (unsigned long long)index);
    return path;
}

/* Reads until the buffer is full or the file at its end. */
static size_t read_full(int fd, uint8_t *bytes, size_t size) {
    size_t length = 0;
    ssize_t got;
    while (length < size && (got = read(fd, bytes + length, size - length)) != 0) {
        if (got < 0)
            die("cannot read: %s", strerror(errno));
        length += (size_t)got;
    }
    return length;
}

static void seal(const char *path, const char *folder, const char *keyfile) {
    securechat_file *file = NULL;
    securechat_file_info info;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0 || lseek(fd, 0, SEEK_SET) < 0)
        die("cannot read %s: %s", path, strerror(errno));
    if (mkdir(folder, 0700) && errno != EEXIST)
        die("cannot make %s: %s", folder, strerror(errno));
    check(securechat_file_new(NULL, SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS, (uint64_t)size, name, strlen(name), NULL, 0, &file));
    check(securechat_file_about(file, &info, sizeof info));
    for (uint64_t i = 0; i < info.count; i++) {
        size_t length = 0, got = read_full(fd, plain, sizeof plain);
        check(securechat_file_seal_chunk(file, i, plain, got, sealed, sizeof sealed, &length));
        replace_file(chunk_path(folder, i), sealed, length);
    }
    close(fd);
    // The root is known now. With the offer it is all that is needed to open the file.
    uint8_t key[32 + 2048];
    size_t length = 0;
    check(securechat_file_about(file, &info, sizeof info));
    memcpy(key, info.root, 32);
    check(securechat_file_offer(file, key + 32, sizeof key - 32, &length));
    replace_file(keyfile, key, 32 + length);
    explicit_bzero(key, sizeof key);
    securechat_file_free(file);
    printf("%llu chunks in %s\n", (unsigned long long)info.count, folder);
}

/* Chunks may come in any order; here it is theirs. */
static securechat_status open_chunks(securechat_file *file, const char *folder, uint64_t count, int fd) {
    for (uint64_t i = 0; i < count; i++) {
        ssize_t got = read_file(chunk_path(folder, i), sealed, sizeof sealed);
        size_t length = 0;
        if (got < 0)
            return SECURECHAT_ERR_NOT_FOUND;
        securechat_status status = securechat_file_open_chunk(file, i, sealed, (size_t)got, plain, sizeof plain, &length);
        if (status != SECURECHAT_OK)
            return status;
        if (pwrite(fd, plain, length, (off_t)(i * SECURECHAT_CHUNK_SIZE)) != (ssize_t)length)
            die("cannot write: %s", strerror(errno));
    }
    return SECURECHAT_OK;
}

static void open_sealed(const char *keyfile, const char *folder) {
    securechat_file *file = NULL;
    securechat_file_info info;
    uint8_t key[32 + 2048];
    ssize_t length = read_file(keyfile, key, sizeof key);
    if (length < 32)
        die("%s has no key", keyfile);
    check(securechat_file_open(NULL, SECURECHAT_FILE_RECEIVER, key + 32, (size_t)length - 32, NULL, 0, &file));
    check(securechat_file_about(file, &info, sizeof info));
    int fd = open(info.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot make %s: %s", info.name, strerror(errno));
    securechat_status status = open_chunks(file, folder, info.count, fd);
    if (status == SECURECHAT_OK)
        status = securechat_file_finish(file, key);
    if (status != SECURECHAT_OK)
        unlink(info.name); // a file that is not the sender's is none
    close(fd);
    explicit_bzero(key, sizeof key);
    securechat_file_free(file);
    check(status);
    printf("%s\n", info.name);
}

int main(int count, char **words) {
    if (count == 5 && strcmp(words[1], "seal") == 0)
        seal(words[2], words[3], words[4]);
    else if (count == 4 && strcmp(words[1], "open") == 0)
        open_sealed(words[2], words[3]);
    else
        die("sealfile seal FILE FOLDER KEYFILE\nsealfile open KEYFILE FOLDER");
}
