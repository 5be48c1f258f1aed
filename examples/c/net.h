/* What the programs beside this file share of POSIX: the clock, sockets, and how they end when something is wrong. */
#ifndef NET_H
#define NET_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Says what is wrong and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline void *grow(void *block, size_t size) {
    block = realloc(block, size);
    if (!block)
        die("no memory");
    return block;
}

/* Unix milliseconds. */
static inline uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* How long poll may wait until `next`, at most `longest`. */
static inline int wait_ms(uint64_t next, int longest) {
    uint64_t now = now_ms();
    if (next <= now)
        return 0;
    return next - now < (uint64_t)longest ? (int)(next - now) : longest;
}

/* A fingerprint or an id as hexadecimal digits, two for a byte, with a zero byte behind them. */
static inline const char *to_hex(const uint8_t *bytes, size_t count, char *digits) {
    for (size_t i = 0; i < count; i++)
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
    return digits;
}

/* The other way round: 0, or -1 for a text that is not exactly so many digits. */
static inline int from_hex(const char *digits, uint8_t *bytes, size_t count) {
    size_t length = strlen(digits);
    if (length != 2 * count || strspn(digits, "0123456789abcdef") != length)
        return -1;
    for (size_t i = 0; i < count; i++) {
        char byte[3] = {digits[2 * i], digits[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return 0;
}

/* A socket connected to host and port (`passive` 0), or one that listens there (1). */
static inline int open_socket(const char *host, const char *port, int passive) {
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = passive ? AI_PASSIVE : 0;
    int wrong = getaddrinfo(host, port, &hints, &found);
    if (wrong)
        die("%s port %s: %s", host, port, gai_strerror(wrong));
    int fd = -1, one = 1;
    for (struct addrinfo *place = found; place && fd < 0; place = place->ai_next) {
        fd = socket(place->ai_family, place->ai_socktype, place->ai_protocol);
        if (fd < 0)
            continue;
        if (passive)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        int failed = passive ? bind(fd, place->ai_addr, place->ai_addrlen) || listen(fd, 64)
                             : connect(fd, place->ai_addr, place->ai_addrlen);
        if (failed) {
            wrong = errno;
            close(fd);
            errno = wrong;
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        die("cannot %s %s port %s: %s", passive ? "listen on" : "connect to", host, port, strerror(errno));
    return fd;
}

static inline void set_nonblocking(int fd) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Whether a read or write is only to be tried again later. */
static inline int is_later(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* The port that a socket listens on, for those that were told to take any. */
static inline unsigned port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char port[16] = "0";
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    return (unsigned)strtoul(port, NULL, 10);
}

/* Reads a whole small file into `bytes`: its length, or -1. */
static inline ssize_t read_file(const char *path, uint8_t *bytes, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t total = 0, got;
    while ((size_t)total < room && (got = read(fd, bytes + total, room - (size_t)total)) > 0)
        total += got;
    close(fd);
    return total;
}

static inline void write_all(int fd, const void *bytes, size_t length) {
    for (const char *from = (const char *)bytes; length > 0;) {
        ssize_t count = write(fd, from, length);
        if (count < 0 && errno != EINTR)
            die("cannot write: %s", strerror(errno));
        if (count > 0) {
            from += count;
            length -= (size_t)count;
        }
    }
}

/* Makes what was created, renamed or deleted beside `path` durable. */
static inline void sync_folder_of(const char *path) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) || close(fd))
        die("cannot write to %s: %s", slash ? folder : ".", strerror(errno));
}

/* Writes a file that only this user can read: whole or not at all, and durable. */
static inline void replace_file(const char *path, const void *bytes, size_t length) {
    char beside[4096];
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot write %s: %s", beside, strerror(errno));
    write_all(fd, bytes, length);
    if (fsync(fd) || close(fd) || rename(beside, path))
        die("cannot write %s: %s", path, strerror(errno));
    sync_folder_of(path);
}

#endif
