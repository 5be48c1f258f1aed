/* A store of records in an SQLite database, for one process at a time: what is put is one transaction, durable when it is
 * committed. Two tables of the same form: `record` has the records of the library, `kept` what the program keeps beside them.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include "net.h"
#include <securechat.h>
#include <sqlite3.h>

enum records_table { RECORD, KEPT };

struct records {
    char path[4000];
    sqlite3 *database;
    sqlite3_stmt *put[2], *drop[2], *all[2], *find;
    int changing; /* whether a transaction is being put together */
    securechat_record *list;
    size_t count;
};

static inline void records_check(struct records *store, int status) {
    if (status == SQLITE_BUSY)
        die("cannot use %s: another program does", store->path);
    if (status != SQLITE_OK && status != SQLITE_ROW && status != SQLITE_DONE)
        die("cannot use %s: %s", store->path, sqlite3_errmsg(store->database));
}

static inline void records_run(struct records *store, const char *sql) {
    records_check(store, sqlite3_exec(store->database, sql, NULL, NULL, NULL));
}

static inline sqlite3_stmt *records_prepare(struct records *store, const char *sql) {
    sqlite3_stmt *statement = NULL;
    records_check(store, sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL));
    return statement;
}

/* Puts a record, or deletes it where the value is NULL, in the transaction that records_commit makes durable. */
static inline void records_write(struct records *store, enum records_table table, const securechat_record *record) {
    sqlite3_stmt *statement = record->value ? store->put[table] : store->drop[table];
    if (!store->changing)
        records_run(store, "BEGIN IMMEDIATE");
    store->changing = 1;
    records_check(store, sqlite3_bind_text(statement, 1, record->key, (int)record->key_len, SQLITE_STATIC));
    if (record->value && record->value_len)
        records_check(store, sqlite3_bind_blob64(statement, 2, record->value, record->value_len, SQLITE_STATIC));
    else if (record->value)
        records_check(store, sqlite3_bind_zeroblob(statement, 2, 0));
    records_check(store, sqlite3_step(statement));
    sqlite3_reset(statement);
}

static inline void records_put(struct records *store, const securechat_record *record) {
    records_write(store, RECORD, record);
}

/* Makes all that was put durable, at once. */
static inline void records_commit(struct records *store) {
    if (store->changing)
        records_run(store, "COMMIT");
    store->changing = 0;
}

static inline securechat_record records_row(sqlite3_stmt *row) {
    static const uint8_t nothing[1] = {0}; // a value of no bytes is a value
    securechat_record record = {(const char *)sqlite3_column_text(row, 0), (size_t)sqlite3_column_bytes(row, 0),
                                (const uint8_t *)sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1)};
    record.value = record.value ? record.value : nothing;
    return record;
}

/* Calls `each` with every record of a table; it may put none meanwhile. */
static inline void records_each(struct records *store, enum records_table table, void (*each)(void *, const securechat_record *), void *context) {
    int status;
    while ((status = sqlite3_step(store->all[table])) == SQLITE_ROW) {
        securechat_record record = records_row(store->all[table]);
        each(context, &record);
    }
    records_check(store, status);
    sqlite3_reset(store->all[table]);
}

/* Copies the value that the program keeps under a key, which is at most `room` bytes long: its length, or -1. */
static inline ssize_t records_find(struct records *store, const char *key, uint8_t *value, size_t room) {
    ssize_t length = -1;
    records_check(store, sqlite3_bind_text(store->find, 1, key, -1, SQLITE_STATIC));
    int status = sqlite3_step(store->find);
    records_check(store, status);
    if (status == SQLITE_ROW) {
        securechat_record found = records_row(store->find);
        if (found.value_len <= room) {
            memcpy(value, found.value, found.value_len);
            length = (ssize_t)found.value_len;
        }
    }
    sqlite3_reset(store->find);
    return length;
}

static inline void records_list(void *context, const securechat_record *record) {
    struct records *store = (struct records *)context;
    if ((store->count & (store->count + 1)) == 0) // room for 2, 4, 8 and so on
        store->list = (securechat_record *)grow(store->list, 2 * (store->count + 1) * sizeof *store->list);
    char *copy = (char *)grow(NULL, record->key_len + record->value_len + 1);
    memcpy(copy, record->key, record->key_len);
    memcpy(copy + record->key_len, record->value, record->value_len);
    securechat_record *listed = &store->list[store->count++];
    *listed = *record;
    listed->key = copy;
    listed->value = (const uint8_t *)copy + record->key_len;
}

/* Opens or makes the store, readable by this user only, and lists the records of the library. */
static inline void records_open(struct records *store, const char *path) {
    memset(store, 0, sizeof *store);
    snprintf(store->path, sizeof store->path, "%s", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd))
        die("cannot use %s: %s", path, strerror(errno));
    records_check(store, sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE, NULL));
    records_run(store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
                       "BEGIN IMMEDIATE;" /* from here on no other program has it */
                       "CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
                       "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
                       "COMMIT;");
    store->put[RECORD] = records_prepare(store, "INSERT OR REPLACE INTO record VALUES (?, ?)");
    store->put[KEPT] = records_prepare(store, "INSERT OR REPLACE INTO kept VALUES (?, ?)");
    store->drop[RECORD] = records_prepare(store, "DELETE FROM record WHERE key = ?");
    store->drop[KEPT] = records_prepare(store, "DELETE FROM kept WHERE key = ?");
    store->all[RECORD] = records_prepare(store, "SELECT key, value FROM record");
    store->all[KEPT] = records_prepare(store, "SELECT key, value FROM kept");
    store->find = records_prepare(store, "SELECT key, value FROM kept WHERE key = ?");
    records_each(store, RECORD, records_list, store);
}

/* The list is not needed any more. */
static inline void records_forget(struct records *store) {
    for (size_t i = 0; i < store->count; i++)
        free((char *)store->list[i].key);
    free(store->list);
    store->list = NULL;
    store->count = 0;
}

static inline void records_close(struct records *store) {
    records_forget(store);
    for (int table = RECORD; table <= KEPT; table++)
        sqlite3_finalize(store->put[table]), sqlite3_finalize(store->drop[table]), sqlite3_finalize(store->all[table]);
    sqlite3_finalize(store->find);
    sqlite3_close(store->database);
}

#endif
