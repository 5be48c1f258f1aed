/* What was said: each message sealed with the client's key as the record history/ID, in the transaction that says that its event
 * was taken. Sealed is a struct said up to the end of its text, and zeros up to a multiple of 256 bytes. Reactions are not kept.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "records.h"
#include "show.h"
#include <stddef.h>

enum { SAID_HERE = 1, SAID_EDITED = 2, SAID_DELETED = 4, SAID_FILE = 8 };

struct said {
    uint64_t order, sent, expires; /* Unix milliseconds: when it came, and by its sender's clock; 0 where it never expires */
    uint32_t flags, length;
    char who[64], by[40]; /* the other side: a user, or a group; and in a group who said it */
    char text[16384];
};

enum { SAID_HEAD = offsetof(struct said, text), SAID_MAX = (sizeof(struct said) + 255) / 256 * 256 };

struct history {
    securechat_client *client;
    struct records *store;
    uint64_t order, next_expiry; /* the highest order that was given; when something has to be forgotten, or 0 */
    /* For what goes through all messages. */
    const char *who;
    struct said **found;
    size_t count;
};

/* The key of a message: its id is its sender's random choice, and says nothing. */
static inline const char *history_key(const uint8_t *id, char *key) {
    char digits[33];
    snprintf(key, 41, "history/%s", to_hex(id, 16, digits));
    return key;
}

static inline void history_put(struct history *all, const char *key, const struct said *said) {
    static uint8_t plain[SAID_MAX], sealed[SAID_MAX + 32];
    size_t length = SAID_HEAD + said->length, padded = (length + 255) / 256 * 256;
    memset(plain, 0, padded);
    memcpy(plain, said, length);
    if (securechat_client_seal(all->client, key, strlen(key), plain, padded, sealed, sizeof sealed, &length) != SECURECHAT_OK)
        die("a message cannot be sealed");
    securechat_record record = {key, strlen(key), sealed, length};
    records_write(all->store, KEPT, &record);
    if (said->expires && (!all->next_expiry || said->expires < all->next_expiry))
        all->next_expiry = said->expires;
}

static inline void history_opened(struct history *all, const char *key, const uint8_t *sealed, size_t size, struct said *said) {
    static uint8_t plain[SAID_MAX];
    size_t length = 0;
    if (securechat_client_open(all->client, key, strlen(key), sealed, size, plain, sizeof plain, &length) != SECURECHAT_OK || length < SAID_HEAD)
        die("%s is damaged", all->store->path);
    memcpy(said, plain, length < sizeof *said ? length : sizeof *said);
    if (said->length > sizeof said->text)
        die("%s is damaged", all->store->path);
}

/* Whether there is a message of this id. */
static inline int history_get(struct history *all, const char *key, struct said *said) {
    static uint8_t sealed[SAID_MAX + 32];
    ssize_t size = records_find(all->store, key, sealed, sizeof sealed);
    if (size >= 0)
        history_opened(all, key, sealed, (size_t)size, said);
    return size >= 0;
}

/* Notes a message to or from somebody; `by` names who wrote it in a group. One that is there already stays as it is. */
static inline void history_add(struct history *all, const uint8_t *id, const char *who, size_t who_len, const char *by, size_t by_len,
                               uint32_t flags, uint64_t sent, uint32_t seconds, const void *text, size_t length) {
    static struct said said;
    char key[41];
    uint64_t now = now_ms();
    if (history_get(all, history_key(id, key), &said) || length > sizeof said.text)
        return;
    memset(&said, 0, SAID_HEAD);
    said.order = all->order = now > all->order ? now : all->order + 1;
    said.sent = sent < now ? sent : now; // a clock that runs ahead does not make a message live longer
    said.expires = seconds ? said.sent + 1000 * (uint64_t)seconds : 0;
    said.flags = flags;
    said.length = (uint32_t)length;
    snprintf(said.who, sizeof said.who, "%.*s", (int)who_len, who);
    snprintf(said.by, sizeof said.by, "%.*s", (int)by_len, by);
    memcpy(said.text, text, length);
    history_put(all, key, &said);
}

/* Notes what an event says. An edit, or a message taken back, counts from its own sender only. */
static inline void history_event(struct history *all, const securechat_event *event) {
    static struct said said;
    uint32_t here = event->kind == SECURECHAT_EVENT_SENT_COPY ? SAID_HERE : 0;
    int offered = event->kind == SECURECHAT_EVENT_FILE_OFFERED;
    int in_group = (event->flags & SECURECHAT_FLAG_IN_GROUP) != 0;
    const char *who = in_group ? event->group : event->user;
    size_t who_len = in_group ? strlen(event->group) : event->user_len, by_len = in_group && !here ? event->user_len : 0;
    char key[41], from[64], by[40];
    if (offered || event->message == SECURECHAT_MESSAGE_FILE)
        history_add(all, event->id, who, who_len, event->user, by_len, here | SAID_FILE, offered ? now_ms() : event->time, event->seconds, event->name, event->name_len);
    else if (event->message == SECURECHAT_MESSAGE_TEXT)
        history_add(all, event->id, who, who_len, event->user, by_len, here, event->time, event->seconds, event->data, event->data_len);
    else if (event->message == SECURECHAT_MESSAGE_EDIT || event->message == SECURECHAT_MESSAGE_DELETE) {
        snprintf(from, sizeof from, "%.*s", (int)who_len, who);
        snprintf(by, sizeof by, "%.*s", (int)by_len, event->user);
        int deleted = event->message == SECURECHAT_MESSAGE_DELETE;
        if (!history_get(all, history_key(event->target, key), &said) || strcmp(said.who, from) != 0 || strcmp(said.by, by) != 0 || (said.flags & SAID_HERE) != here)
            return;
        if (!deleted && (said.flags & (SAID_DELETED | SAID_FILE) || event->data_len > sizeof said.text))
            return;
        if (!deleted)
            memcpy(said.text, event->data, event->data_len);
        said.length = deleted ? 0 : (uint32_t)event->data_len;
        said.flags = here | (deleted ? SAID_DELETED : SAID_EDITED);
        history_put(all, key, &said);
    }
}

static inline void history_find(void *context, const securechat_record *record) {
    static struct said said;
    struct history *all = (struct history *)context;
    char key[41];
    if (record->key_len != 40 || memcmp(record->key, "history/", 8) != 0)
        return;
    snprintf(key, sizeof key, "%.*s", (int)record->key_len, record->key);
    history_opened(all, key, record->value, record->value_len, &said);
    all->order = said.order > all->order ? said.order : all->order;
    if (all->who ? strcmp(said.who, all->who) != 0 : !said.expires)
        return;
    if ((all->count & (all->count + 1)) == 0)
        all->found = (struct said **)grow(all->found, 2 * (all->count + 1) * sizeof *all->found);
    // The key stands behind the text.
    struct said *copy = (struct said *)grow(NULL, SAID_HEAD + said.length + sizeof key);
    memcpy(copy, &said, SAID_HEAD + said.length);
    memcpy(copy->text + said.length, key, sizeof key);
    all->found[all->count++] = copy;
}

static inline void history_found_end(struct history *all) {
    for (size_t i = 0; i < all->count; i++)
        free(all->found[i]);
    free(all->found);
    all->found = NULL;
    all->count = 0;
}

/* Forgets the messages whose time is over. */
static inline void history_expire(struct history *all, uint64_t now) {
    all->who = NULL;
    all->next_expiry = 0;
    records_each(all->store, KEPT, history_find, all);
    for (size_t i = 0; i < all->count; i++) {
        struct said *said = all->found[i];
        securechat_record record = {said->text + said->length, 40, NULL, 0};
        if (said->expires <= now)
            records_write(all->store, KEPT, &record);
        else if (!all->next_expiry || said->expires < all->next_expiry)
            all->next_expiry = said->expires;
    }
    history_found_end(all);
}

static inline int history_order(const void *left, const void *right) {
    uint64_t a = (*(struct said *const *)left)->order, b = (*(struct said *const *)right)->order;
    return (a > b) - (a < b);
}

/* Prints the last messages with somebody, each with its time in UTC; what is known of one stands before what it says. */
static inline void history_show(struct history *all, const char *who, size_t last) {
    all->who = who;
    records_each(all->store, KEPT, history_find, all);
    if (all->count)
        qsort(all->found, all->count, sizeof *all->found, history_order);
    for (size_t i = all->count > last ? all->count - last : 0; i < all->count; i++) {
        const struct said *said = all->found[i];
        char when[20] = "";
        time_t seconds = (time_t)(said->sent / 1000);
        struct tm parts;
        if (gmtime_r(&seconds, &parts))
            strftime(when, sizeof when, "%Y-%m-%d %H:%M", &parts);
        printf("%s %s%s%s%s: ", when, said->flags & SAID_HERE ? "you" : said->by[0] ? said->by : said->who, said->flags & SAID_EDITED ? " (edited)" : "",
               said->flags & SAID_DELETED ? " (taken back)" : "",
               said->flags & SAID_FILE ? " (file)" : "");
        show(said->text, said->length), putchar('\n');
    }
    history_found_end(all);
}

#endif
