/* A store of records in one file: transactions are added at its end, and it is written anew without what is no longer
 * needed each time it is opened. A transaction that was cut off by a crash counts as never made.
 *
 * Each is: length (8 bytes) and checksum (8) of what follows; and in it for each record the lengths of key (4) and value
 * (4; 0xffffffff to delete), then both. The file is for the machine that wrote it: numbers are in its byte order.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include "net.h"
#include <securechat.h>
#include <sys/file.h>

struct records {
    char path[4000];
    int fd;
    uint8_t *pending; /* the transaction that is being put together */
    size_t length, room;
    uint8_t *loaded; /* what the list points to */
    securechat_record *list;
    size_t count;
};

static const uint32_t DELETED = UINT32_MAX;

/* FNV-1a: finds what a crash left behind, not what somebody forged; the records themselves are sealed. */
static inline uint64_t checksum(const uint8_t *bytes, size_t length) {
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3;
    return sum;
}

static inline void records_add(struct records *store, const void *bytes, size_t length) {
    if (store->length + length > store->room) {
        store->room = 2 * (store->length + length);
        store->pending = (uint8_t *)grow(store->pending, store->room);
    }
    if (length)
        memcpy(store->pending + store->length, bytes, length);
    store->length += length;
}

/* Puts a record, or deletes it where the value is NULL, in the transaction that records_commit makes durable. */
static inline void records_put(struct records *store, const securechat_record *record) {
    uint32_t lengths[2] = {(uint32_t)record->key_len, record->value ? (uint32_t)record->value_len : DELETED};
    if (store->length == 0)
        records_add(store, "0123456789abcdef", 16); /* room for length and checksum */
    records_add(store, lengths, sizeof lengths);
    records_add(store, record->key, record->key_len);
    records_add(store, record->value, record->value ? record->value_len : 0);
}

/* Fills in the length and the checksum of the transaction. */
static inline void records_finish(struct records *store) {
    uint64_t head[2] = {store->length - 16, checksum(store->pending + 16, store->length - 16)};
    memcpy(store->pending, head, sizeof head);
}

/* Makes all that was put durable, at once. */
static inline void records_commit(struct records *store) {
    if (store->length == 0)
        return;
    records_finish(store);
    write_all(store->fd, store->pending, store->length);
    if (fdatasync(store->fd))
        die("cannot write %s: %s", store->path, strerror(errno));
    store->length = 0;
}

/* By key, and of one key the newest first: it lies behind the others. */
static inline int records_order(const void *left, const void *right) {
    const securechat_record *a = (const securechat_record *)left, *b = (const securechat_record *)right;
    int order = memcmp(a->key, b->key, a->key_len < b->key_len ? a->key_len : b->key_len);
    if (order == 0)
        order = (a->key_len > b->key_len) - (a->key_len < b->key_len);
    return order ? order : (a->key < b->key) - (a->key > b->key);
}

/* Reads the list of records out of the file's bytes. */
static inline void records_read(struct records *store, size_t size) {
    size_t room = 0, kept = 0;
    for (size_t at = 0; at + 16 <= size;) {
        uint64_t head[2];
        memcpy(head, store->loaded + at, sizeof head);
        at += 16;
        if (head[0] > size - at)
            break;
        if (checksum(store->loaded + at, head[0]) != head[1]) {
            if (head[0] < size - at)
                die("%s is damaged", store->path); /* others came after it, so it was whole once */
            break;
        }
        for (size_t end = at + head[0]; at < end; store->count++) {
            uint32_t lengths[2];
            memcpy(lengths, store->loaded + at, sizeof lengths);
            if (store->count == room) {
                room = 2 * room + 64;
                store->list = (securechat_record *)grow(store->list, room * sizeof *store->list);
            }
            securechat_record *record = &store->list[store->count];
            record->key = (const char *)store->loaded + at + sizeof lengths;
            record->key_len = lengths[0];
            record->value = lengths[1] == DELETED ? NULL : (const uint8_t *)record->key + lengths[0];
            record->value_len = lengths[1] == DELETED ? 0 : lengths[1];
            at += sizeof lengths + record->key_len + record->value_len;
        }
    }
    if (store->count)
        qsort(store->list, store->count, sizeof *store->list, records_order);
    for (size_t i = 0; i < store->count; i++) {
        const securechat_record *record = &store->list[i];
        int again = i > 0 && record->key_len == store->list[i - 1].key_len &&
                    memcmp(record->key, store->list[i - 1].key, record->key_len) == 0;
        if (!again && record->value)
            store->list[kept++] = *record;
    }
    store->count = kept;
}

/* Opens or makes the store, for this process alone, and lists its records. */
static inline void records_open(struct records *store, const char *path) {
    memset(store, 0, sizeof *store);
    snprintf(store->path, sizeof store->path, "%s", path);
    /* The file is replaced below, so the lock is on one beside it. */
    char beside[4096];
    snprintf(beside, sizeof beside, "%s.lock", path);
    int lock = open(beside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB))
        die("cannot use %s: %s", path, lock < 0 ? strerror(errno) : "another program does");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd < 0 && errno != ENOENT)
        die("cannot read %s: %s", path, strerror(errno));
    if (size > 0) {
        store->loaded = (uint8_t *)grow(NULL, (size_t)size);
        if (pread(fd, store->loaded, (size_t)size, 0) != (ssize_t)size)
            die("cannot read %s", path);
        records_read(store, (size_t)size);
    }
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < store->count; i++)
        records_put(store, &store->list[i]);
    if (store->length)
        records_finish(store);
    replace_file(path, store->pending, store->length);
    store->length = 0;
    store->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (store->fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
}

/* The list is not needed any more. */
static inline void records_forget(struct records *store) {
    free(store->list);
    free(store->loaded);
    store->list = NULL;
    store->loaded = NULL;
    store->count = 0;
}

static inline void records_close(struct records *store) {
    records_forget(store);
    free(store->pending);
    close(store->fd);
}

#endif
