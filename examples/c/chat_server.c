/* A relay: passes on what it cannot read, and keeps it for who is offline. Sockets, a file of records and crypt(3) around the
 * library's relay.
 *
 *     chat_server HOST PORT FOLDER    prints its address, host:port#fingerprint, for those who shall use it
 */
#include "net.h"
#include "passwords.h"
#include "records.h"
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>

struct peer {
    int fd, ready, over; /* there may be something to write; the relay has nothing to say but that */
    uint64_t connection;
};

static securechat_relay *relay;
static const char *folder;
static struct records store;
static struct peer *peers;
static size_t peer_count, peer_room;
static volatile sig_atomic_t stopping;

static void stop(int signal) {
    (void)signal;
    stopping = 1;
}

static void check(securechat_status status, const char *what) {
    if (status != SECURECHAT_OK)
        die("%s: %s", what, relay ? securechat_relay_error(relay) : securechat_status_message(status));
}

static const char *path_of(const char *name) {
    static char path[3900];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        die("the name of %s is too long", folder);
    return path;
}

/* ---- Records ---- */

/* A chunk of a file, chunk/BLOB/INDEX, is a file of its own: FOLDER/chunks/BLOB.INDEX. */
static int is_chunk(const char *key, size_t length) {
    return length > 6 && memcmp(key, "chunk/", 6) == 0;
}

static const char *chunk_path(const char *key, size_t length) {
    char name[256] = "chunks/";
    if (length > 200)
        die("a key is too long");
    for (size_t i = 6; i < length; i++)
        name[i + 1] = key[i] == '/' ? '.' : key[i];
    name[length + 1] = 0;
    return path_of(name);
}

/* Chunks are written before the transaction that names them, and deleted after the one that does not. */
static void commit(const securechat_job *job) {
    int wrote = 0;
    for (size_t i = 0; i < job->records_count; i++) {
        securechat_record record = job->records[i];
        if (is_chunk(record.key, record.key_len) && record.value) {
            const char *path = chunk_path(record.key, record.key_len);
            int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            if (fd < 0)
                die("cannot write %s: %s", path, strerror(errno));
            write_all(fd, record.value, record.value_len);
            if (fsync(fd) || close(fd))
                die("cannot write %s: %s", path, strerror(errno));
            record.value_len = 0;
            wrote = 1;
        }
        records_put(&store, &record);
    }
    if (wrote)
        sync_folder_of(path_of("chunks/x"));
    records_commit(&store);
    for (size_t i = 0; i < job->records_count; i++)
        if (is_chunk(job->records[i].key, job->records[i].key_len) && !job->records[i].value)
            unlink(chunk_path(job->records[i].key, job->records[i].key_len));
}

/* Does what the relay wants done. A server for many would hash on other threads. */
static void do_jobs(void) {
    static uint8_t chunk[SECURECHAT_SEALED_CHUNK_MAX];
    securechat_job job;
    while (check(securechat_relay_next_job(relay, &job, sizeof job), "job"), job.kind != SECURECHAT_JOB_NONE) {
        uint32_t outcome = SECURECHAT_OUTCOME_FAILED;
        const void *data = NULL;
        size_t length = 0;
        if (job.kind == SECURECHAT_JOB_HASH) {
            data = hash_of(job.password, job.password_len, NULL);
            length = data ? strlen((const char *)data) : 0;
            outcome = data ? SECURECHAT_OUTCOME_OK : SECURECHAT_OUTCOME_FAILED;
        } else if (job.kind == SECURECHAT_JOB_VERIFY && job.hash_len < CRYPT_OUTPUT_SIZE) {
            char kept[CRYPT_OUTPUT_SIZE] = "";
            memcpy(kept, job.hash, job.hash_len);
            outcome = is_password(job.password, job.password_len, kept) ? SECURECHAT_OUTCOME_OK : SECURECHAT_OUTCOME_NO;
        } else if (job.kind == SECURECHAT_JOB_COMMIT) {
            commit(&job);
            outcome = SECURECHAT_OUTCOME_OK;
        } else if (job.kind == SECURECHAT_JOB_LOAD && is_chunk(job.key, job.key_len)) {
            ssize_t got = read_file(chunk_path(job.key, job.key_len), chunk, sizeof chunk);
            data = chunk;
            length = got < 0 ? 0 : (size_t)got;
            outcome = got < 0 ? SECURECHAT_OUTCOME_FAILED : SECURECHAT_OUTCOME_OK;
        }
        check(securechat_relay_complete_job(relay, job.id, outcome, (const uint8_t *)data, length, now_ms()), "job");
    }
}

/* ---- Connections ---- */

static struct peer *peer_of(uint64_t connection) {
    for (size_t i = 0; i < peer_count; i++)
        if (peers[i].connection == connection)
            return &peers[i];
    return NULL;
}

/* Jobs and events, until there are no more. */
static void settle(void) {
    securechat_event event;
    do_jobs();
    while (check(securechat_relay_next_event(relay, &event, sizeof event), "event"), event.kind != SECURECHAT_EVENT_NONE) {
        struct peer *peer = peer_of(event.connection);
        if (peer && event.kind == SECURECHAT_EVENT_RELAY_READY)
            peer->ready = 1;
        if (peer && event.kind == SECURECHAT_EVENT_RELAY_ENDED)
            peer->ready = peer->over = 1;
        if (event.kind == SECURECHAT_EVENT_RELAY_LOGGED_IN)
            fprintf(stderr, "%.*s logged in\n", (int)event.user_len, event.user);
    }
}

static void take(int listening) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    uint8_t address[16] = {0};
    int fd = accept(listening, (struct sockaddr *)&from, &length);
    if (fd < 0)
        return;
    if (from.ss_family == AF_INET6)
        memcpy(address, &((struct sockaddr_in6 *)&from)->sin6_addr, 16);
    else
        memcpy(address, &((struct sockaddr_in *)&from)->sin_addr, 4);
    if (peer_count == peer_room) {
        peer_room = 2 * peer_room + 16;
        peers = (struct peer *)grow(peers, peer_room * sizeof *peers);
    }
    struct peer peer = {fd, 0, 0, 0};
    set_nonblocking(fd);
    if (securechat_relay_connect(relay, address, now_ms(), &peer.connection) == SECURECHAT_OK)
        peers[peer_count++] = peer;
    else
        close(fd);
}

static void drop(struct peer *peer) {
    check(securechat_relay_end(relay, peer->connection, now_ms()), "end");
    close(peer->fd);
    *peer = peers[--peer_count];
}

/* Reads if there is something, and writes what can be written. Whether the peer is still there. */
static int move_bytes(struct peer *peer, int readable) {
    static uint8_t bytes[65536];
    uint64_t connection = peer->connection;
    ssize_t got = readable ? recv(peer->fd, bytes, sizeof bytes, 0) : -1;
    if (readable && (got == 0 || (got < 0 && !is_later())))
        return 0;
    if (got > 0) {
        check(securechat_relay_input(relay, connection, bytes, (size_t)got, now_ms()), "input");
        settle();
    }
    while (peer->ready) {
        const uint8_t *out;
        size_t length;
        check(securechat_relay_output(relay, connection, &out, &length), "output");
        ssize_t sent = length ? send(peer->fd, out, length, MSG_NOSIGNAL) : 0;
        if (sent < 0)
            return is_later();
        peer->ready = length > 0;
        check(securechat_relay_output_consume(relay, connection, (size_t)sent), "output");
        settle();
    }
    return !peer->over;
}

/* ---- The program ---- */

static void start(char *fingerprint) {
    securechat_identity *identity = NULL;
    securechat_bundle info;
    uint8_t bytes[8192];
    size_t length = 0;
    mkdir(folder, 0700); // where that fails, so does what is written there
    mkdir(path_of("chunks"), 0700);
    records_open(&store, path_of("records"));
    ssize_t kept = read_file(path_of("identity"), bytes, sizeof bytes);
    check(kept >= 0 ? securechat_identity_import(NULL, bytes, (size_t)kept, now_ms(), &identity)
                    : securechat_identity_generate(NULL, now_ms(), &identity), "identity");
    check(securechat_identity_export(identity, bytes, sizeof bytes, &length), "identity");
    replace_file(path_of("identity"), bytes, length); // the bundle in it may be a new one
    explicit_bzero(bytes, sizeof bytes);
    check(securechat_identity_bundle(identity, bytes, sizeof bytes, &length), "bundle");
    check(securechat_bundle_read(bytes, length, &info, sizeof info), "bundle");
    to_hex(info.fingerprint, sizeof info.fingerprint, fingerprint);
    uint8_t random[16];
    char password[33];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        die("no randomness");
    to_hex(random, sizeof random, password);
    const char *dummy = hash_of(password, 32, NULL);
    if (!dummy)
        die("crypt(3) knows no yescrypt here");
    securechat_relay_options options = {sizeof options, 1, NULL, 0, dummy, strlen(dummy), 1, 0};
    securechat_config config;
    check(securechat_config_default(&config, sizeof config), "config");
    config.connections = 1000; // a process has 1,024 files, where nobody gave it more
    check(securechat_relay_new(&config, identity, &options, store.list, store.count, now_ms(), &relay), "records");
    records_forget(&store);
    securechat_identity_free(identity);
}

int main(int count, char **words) {
    char fingerprint[65];
    struct pollfd *ready = NULL;
    if (count != 4)
        die("chat_server HOST PORT FOLDER");
    folder = words[3];
    start(fingerprint);
    int listening = open_socket(words[1], words[2], 1);
    set_nonblocking(listening);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    int bare6 = strchr(words[1], ':') != NULL;
    printf("%s%s%s:%u#%s\n", bare6 ? "[" : "", words[1], bare6 ? "]" : "", port_of(listening), fingerprint);
    fflush(stdout);
    for (uint64_t until = UINT64_MAX, due; (!stopping || peer_count > 0) && now_ms() < until;) {
        if (stopping && until == UINT64_MAX) {
            check(securechat_relay_shutdown(relay, now_ms()), "shutdown");
            until = now_ms() + 2000; // everybody is told, and has so long to hear it
        }
        check(securechat_relay_tick(relay, now_ms(), &due), "tick");
        settle();
        for (size_t i = peer_count; i-- > 0;)
            if (!move_bytes(&peers[i], 0))
                drop(&peers[i]);
        ready = (struct pollfd *)grow(ready, (peer_count + 1) * sizeof *ready);
        for (size_t i = 0; i < peer_count; i++)
            ready[i + 1] = (struct pollfd){peers[i].fd, peers[i].ready ? POLLIN | POLLOUT : POLLIN, 0};
        ready[0] = (struct pollfd){stopping ? -1 : listening, POLLIN, 0};
        size_t polled = peer_count;
        // At most a second: a signal just before the wait is noticed then.
        if (poll(ready, polled + 1, wait_ms(due, 1000)) <= 0)
            continue;
        for (size_t i = polled; i-- > 0;)
            if (ready[i + 1].revents && !move_bytes(&peers[i], 1))
                drop(&peers[i]);
        if (ready[0].revents)
            take(listening);
    }
    while (peer_count > 0)
        drop(&peers[0]);
    settle();
    securechat_relay_free(relay);
    records_close(&store);
    free(peers);
    free(ready);
}
