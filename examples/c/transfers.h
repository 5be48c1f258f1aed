/* Files on their way in either direction, and offers: what a chat client keeps of them, so that a restart goes on with them.
 * Each is kept sealed as the record own/ID. What comes is put together in the file ID.part.
 */
#ifndef TRANSFERS_H
#define TRANSFERS_H

#include "records.h"

struct transfer {
    uint8_t id[16];
    int fd, ours, dirty; /* -1 until it is open; whether this side sends; written to since the last fdatasync */
    unsigned number;     /* for people to name it by */
    char name[4096];     /* of ours the path, of others the safe name */
    char key[37], part[38];
};

struct transfers {
    securechat_client *client;
    struct records *store;
    struct transfer *list;
    size_t count;
    unsigned numbers;
};

static inline struct transfer *transfer_find(struct transfers *all, const uint8_t *id) {
    for (size_t i = 0; i < all->count; i++)
        if (memcmp(all->list[i].id, id, 16) == 0)
            return &all->list[i];
    return NULL;
}

static inline struct transfer *transfer_add(struct transfers *all, const uint8_t *id, int ours, const char *name, size_t length) {
    all->list = (struct transfer *)grow(all->list, (all->count + 1) * sizeof *all->list);
    struct transfer *made = &all->list[all->count++];
    char digits[33];
    memset(made, 0, sizeof *made);
    memcpy(made->id, id, 16);
    made->fd = -1;
    made->ours = ours;
    made->number = ++all->numbers;
    snprintf(made->name, sizeof made->name, "%.*s", (int)length, name);
    snprintf(made->key, sizeof made->key, "own/%s", to_hex(id, 16, digits));
    snprintf(made->part, sizeof made->part, "%s.part", digits);
    return made;
}

/* Puts its record in the transaction that is being put together. */
static inline securechat_status transfer_keep(struct transfers *all, const struct transfer *transfer) {
    uint8_t plain[sizeof transfer->name + 1], sealed[sizeof plain + 32];
    size_t length = strlen(transfer->name), key_len = strlen(transfer->key);
    plain[0] = (uint8_t)transfer->ours;
    memcpy(plain + 1, transfer->name, length);
    securechat_status status = securechat_client_seal(all->client, transfer->key, key_len, plain, length + 1, sealed, sizeof sealed, &length);
    securechat_record record = {transfer->key, key_len, sealed, length};
    if (status == SECURECHAT_OK)
        records_write(all->store, KEPT, &record);
    return status;
}

/* Takes up again what a record of what the program keeps says, if it is one of these. */
static inline void transfer_restore(void *context, const securechat_record *record) {
    struct transfers *all = (struct transfers *)context;
    uint8_t id[16], plain[4097];
    size_t length = 0;
    char digits[33];
    if (record->key_len != 36 || memcmp(record->key, "own/", 4) != 0)
        return;
    snprintf(digits, sizeof digits, "%.*s", 32, record->key + 4);
    if (securechat_client_open(all->client, record->key, record->key_len, record->value, record->value_len, plain, sizeof plain, &length) != SECURECHAT_OK)
        die("%s is damaged", all->store->path);
    if (length > 0 && from_hex(digits, id, 16) == 0)
        transfer_add(all, id, plain[0], (const char *)plain + 1, length - 1);
}

static inline void transfer_end(struct transfers *all, struct transfer *transfer) {
    securechat_record record = {transfer->key, strlen(transfer->key), NULL, 0};
    records_write(all->store, KEPT, &record);
    if (transfer->fd >= 0)
        close(transfer->fd);
    if (!transfer->ours)
        unlink(transfer->part);
    *transfer = all->list[--all->count];
}

/* Whether the file can be read from, or the part written to. */
static inline int transfer_open(struct transfer *transfer) {
    if (transfer && transfer->fd < 0)
        transfer->fd = transfer->ours ? open(transfer->name, O_RDONLY | O_CLOEXEC)
                                      : open(transfer->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return transfer && transfer->fd >= 0;
}

/* What was written is on the disk before the records that call it taken. */
static inline void transfers_sync(struct transfers *all) {
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].dirty && (all->list[i].dirty = fdatasync(all->list[i].fd)))
            die("cannot write %s: %s", all->list[i].part, strerror(errno));
}

/* Gives a whole file its safe name, or one beside it that is not taken: nothing is overwritten. Writes that name to `name`; 0,
 * or -1 when it stays what it is. */
static inline int transfer_save(struct transfers *all, struct transfer *transfer, char *name, size_t room) {
    int number = 0, failed;
    transfers_sync(all);
    snprintf(name, room, "%s", transfer->name);
    while ((failed = link(transfer->part, name)) && errno == EEXIST && ++number < 1000)
        snprintf(name, room, "%d-%.240s", number, transfer->name);
    if (!failed) {
        sync_folder_of(name);
        transfer_end(all, transfer);
    }
    return failed;
}

#endif
