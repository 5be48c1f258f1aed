/* Preloaded into a program, ends it with SIGKILL in front of its Nth write or fdatasync, where N is SECURECHAT_KILL_AT: with every N
 * in turn, a program dies at every point at which what it leaves behind differs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static long left;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("SECURECHAT_KILL_AT");
    left = at ? atol(at) : 0;
}

static void count(void) {
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) == 0)
        kill(getpid(), SIGKILL);
}

#define WRITES(name, offset)                                                                          \
    ssize_t name(int fd, const void *bytes, size_t length, offset at) {                              \
        ssize_t (*real)(int, const void *, size_t, offset) = 0;                                      \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                   \
        count();                                                                                      \
        return real(fd, bytes, length, at);                                                           \
    }

WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t) = 0;
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    count();
    return real(fd, bytes, length);
}

int fdatasync(int fd) {
    int (*real)(int) = 0;
    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    count();
    return real(fd);
}
