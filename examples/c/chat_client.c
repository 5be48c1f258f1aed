/* A chat client in a terminal: registers or logs in at a relay, exchanges texts and files with users and groups, shows safety numbers.
 *
 *     chat_client STATE NAME ADDRESS    STATE is the database of keys, sessions and messages, ADDRESS the relay's host:port#fingerprint
 *
 * Commands: /register, /login [CODE], /msg NAME TEXT, /file NAME PATH, /accept NUMBER, /history NAME [N], /verify NAME [yes],
 * /trust NAME, /quit; NAME may be a #GROUP, for which groups.h has more. Files land in the folder it was started in. SECURECHAT_PASSPHRASE (of STATE) and SECURECHAT_PASSWORD
 * spare the questions.
 */
#include "groups.h"
#include "history.h"
#include "passwords.h"
#include "transfers.h"
#include <poll.h>

static securechat_client *client;
static struct records store;
static struct transfers transfers;
static struct history history;
enum { EVENTS_AT_ONCE = 16 };     // what they print has room before it is shown
static uint32_t link_number;
static char verifying[64];          // whom /verify named last
static int fd, ready, over, failed; // the socket; whether commands are taken; whether the link is over

/* Whether it went well; tells if not. */
static int ok(securechat_status status) {
    if (status != SECURECHAT_OK)
        printf("%s\n", client ? securechat_client_error(client) : securechat_status_message(status)), failed = 1;
    return status == SECURECHAT_OK;
}

static void verify(const char *lent, size_t length) {
    char digits[SECURECHAT_SAFETY_NUMBER_DIGITS + 1], name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, lent); // what an event lent ends with the next call
    securechat_status status = securechat_client_safety_number(client, name, strlen(name), now_ms(), digits);
    if (status == SECURECHAT_ERR_UNKNOWN_USER)
        ok(securechat_client_look_up(client, name, strlen(name), now_ms())); // and again when they are found
    else if (status == SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE)
        puts("asked; the number comes when the other side has answered");
    else if (ok(status))
        printf("the safety number with %s is %s\n", name, digits);
}

static void handle(const securechat_event *event) {
    static uint8_t bytes[SECURECHAT_CHUNK_SIZE];
    struct transfer *transfer = transfer_find(&transfers, event->file);
    securechat_client_info info;
    char digits[65], name[4096];
    int user_len = (int)event->user_len;
    switch (event->kind) {
    case SECURECHAT_EVENT_VERIFY:
        printf("the relay shows the fingerprint %s; nobody is trusted but who stands in ADDRESS\n", to_hex(event->fingerprint, 32, digits));
        failed = 1, securechat_client_close_link(client, event->link, now_ms());
        break;
    case SECURECHAT_EVENT_OPEN:
        ok(securechat_client_about(client, &info, sizeof info));
        ready = !info.registered;
        puts(ready ? "connected: /register, or /login from a new device" : "connected");
        break;
    case SECURECHAT_EVENT_LOGGED_IN:
        ok(securechat_client_about(client, &info, sizeof info));
        ready = 1, puts("logged in");
        if (!(event->flags & SECURECHAT_FLAG_LISTED))
            printf("another device has to approve this one: %s\n", to_hex(info.fingerprint, 32, digits));
        break;
    case SECURECHAT_EVENT_REFUSED:
        ready = failed = 1;
        printf("the relay refuses: %s (%u)\n", event->code == SECURECHAT_REFUSAL_NAME_TAKEN ? "this name is taken"
                                      : event->code == SECURECHAT_REFUSAL_CREDENTIALS ? "wrong name, password or code" : "code", event->code);
        break;
    case SECURECHAT_EVENT_USER_UNKNOWN:
        printf("there is no user %.*s here\n", user_len, event->user), failed = 1;
        break;
    case SECURECHAT_EVENT_KEYS_CHANGED:
        printf("WARNING: the keys of %.*s changed against the rules; ask before you write /trust %.*s\n", user_len, event->user, user_len, event->user);
        break;
    case SECURECHAT_EVENT_USER_FOUND:
    case SECURECHAT_EVENT_LISTS_AGREE:
        if (event->kind == SECURECHAT_EVENT_LISTS_AGREE || (event->user_len == strlen(verifying) && memcmp(event->user, verifying, event->user_len) == 0))
            verify(event->user, event->user_len);
        break;
    case SECURECHAT_EVENT_MESSAGE:
    case SECURECHAT_EVENT_SENT_COPY:
        history_event(&history, event);
        if (event->message == SECURECHAT_MESSAGE_TEXT) {
            printf("%s%.*s", event->kind == SECURECHAT_EVENT_SENT_COPY ? "to " : "", user_len, event->user), group_mark(event);
            fputs(": ", stdout), show(event->data, event->data_len), putchar('\n');
        }
        break;
    case SECURECHAT_EVENT_FAILED:
        printf("a message cannot be sent: %s\n", securechat_status_message(event->status)), failed = 1;
        break;
    case SECURECHAT_EVENT_FILE_OFFERED:
        history_event(&history, event);
        transfer = transfer_add(&transfers, event->file, 0, event->name, event->name_len);
        printf("%.*s", user_len, event->user), group_mark(event), fputs(" offers ", stdout), show(event->name, event->name_len);
        printf(", %llu bytes: /accept %u takes it\n", (unsigned long long)event->total, transfer->number);
        ok(transfer_keep(&transfers, transfer));
        break;
    case SECURECHAT_EVENT_FILE_NEED:
        if (!transfer_open(transfer) || event->length > sizeof bytes || pread(transfer->fd, bytes, event->length, (off_t)event->offset) != (ssize_t)event->length)
            ok(securechat_client_cancel_file(client, event->file, now_ms()));
        else
            ok(securechat_client_supply_file(client, event->file, event->chunk, bytes, event->length, now_ms()));
        break;
    case SECURECHAT_EVENT_FILE_CHUNK:
        if (!transfer_open(transfer) || pwrite(transfer->fd, event->data, event->data_len, (off_t)event->offset) != (ssize_t)event->data_len)
            die("cannot write the file: %s", strerror(errno));
        transfer->dirty = 1;
        break;
    case SECURECHAT_EVENT_FILE_SENT:
        if (transfer)
            show(transfer->name, strlen(transfer->name)), puts(" is sent"), transfer_end(&transfers, transfer);
        break;
    case SECURECHAT_EVENT_FILE_RECEIVED:
        if (transfer_open(transfer) && transfer_save(&transfers, transfer, name, sizeof name) == 0)
            fputs("saved as ", stdout), show(name, strlen(name)), putchar('\n');
        else
            puts("a file cannot be saved under its name; it is whole under that of its part"), failed = 1;
        break;
    case SECURECHAT_EVENT_FILE_FAILED:
        printf("a file failed: %s\n", securechat_status_message(event->status)), failed = 1;
        if (transfer)
            transfer_end(&transfers, transfer);
        break;
    case SECURECHAT_EVENT_LINK_CLOSED:
        if (event->status != SECURECHAT_OK)
            printf("the link is over: %s\n", securechat_status_message(event->status)), failed = 1;
        over = 1;
        break;
    default:
        group_event(client, event);
    }
}

/* Saves, writes and tells until nothing is left. Whether there is more to write than the socket takes. */
static int settle(void) {
    const uint8_t *out = NULL;
    size_t length = 0;
    for (securechat_event event = {0}, first = {0};; event = first) {
        securechat_record record;
        while (securechat_client_next_save(client, &record) == SECURECHAT_OK && record.key)
            records_put(&store, &record);
        transfers_sync(&transfers);
        records_commit(&store);
        fflush(stdout); // what events said is shown when the store says that they were taken: after a crash none comes twice
        ok(securechat_client_save_done(client));
        while (securechat_client_output(client, link_number, &out, &length) == SECURECHAT_OK && length > 0) {
            ssize_t sent = send(fd, out, length, MSG_NOSIGNAL);
            if (sent < 0)
                break;
            securechat_client_output_consume(client, link_number, (size_t)sent);
        }
        int count = 0;
        while (count < EVENTS_AT_ONCE && securechat_client_next_event(client, &event, sizeof event) == SECURECHAT_OK && event.kind != SECURECHAT_EVENT_NONE)
            handle(&event), count++;
        if (count == 0)
            return length > 0;
    }
}

/* ---- What is typed ---- */

static void send_file(const char *to, const char *path) {
    uint8_t file[16], id[16];
    char whole[4096];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = opened < 0 ? -1 : lseek(opened, 0, SEEK_END);
    if (size < 0 || !realpath(path, whole)) {
        printf("cannot read %s: %s\n", path, strerror(errno)), failed = 1;
    } else if (ok(securechat_client_send_file(client, to, strlen(to), name, strlen(name), (uint64_t)size, NULL, 0, now_ms(), file, id))) {
        ok(transfer_keep(&transfers, transfer_add(&transfers, file, 1, whole, strlen(whole))));
        history_add(&history, id, to, strlen(to), "", 0, SAID_HERE | SAID_FILE, now_ms(), 0, name, strlen(name));
    }
    if (opened >= 0)
        close(opened);
}

static void command(char *line) {
    char *rest = line, *verb = strsep(&rest, " "), *more = rest, *to = rest ? strsep(&more, " ") : NULL;
    uint64_t now = now_ms();
    uint8_t id[16];
    securechat_contact contact;
    securechat_status status;
    if (strcmp(verb, "/register") == 0 || strcmp(verb, "/login") == 0) {
        const char *password = secret("SECURECHAT_PASSWORD", "password: ");
        uint32_t code = to ? (uint32_t)strtoul(to, NULL, 10) : SECURECHAT_NO_CODE;
        ready = !ok(verb[1] == 'r' ? securechat_client_register(client, password, strlen(password), now)
                                   : securechat_client_log_in(client, password, strlen(password), code, now));
    } else if (strcmp(verb, "/msg") == 0 && to && more) {
        if (ok(securechat_client_send(client, to, strlen(to), SECURECHAT_MESSAGE_TEXT, NULL, (uint8_t *)more, strlen(more), now, id)))
            history_add(&history, id, to, strlen(to), "", 0, SAID_HERE, now, 0, more, strlen(more));
    } else if (strcmp(verb, "/history") == 0 && to)
        history_show(&history, to, more ? strtoul(more, NULL, 10) : 20);
    else if (strcmp(verb, "/file") == 0 && to && more)
        send_file(to, more);
    else if (strcmp(verb, "/accept") == 0 && to) {
        for (size_t i = 0; i < transfers.count; i++)
            if (transfers.list[i].number == strtoul(to, NULL, 10) && !transfers.list[i].ours &&
                ok(securechat_client_accept_file(client, transfers.list[i].id, now)) && !transfer_open(&transfers.list[i]))
                die("cannot write %s: %s", transfers.list[i].part, strerror(errno));
    } else if (strcmp(verb, "/verify") == 0 && to && more && strcmp(more, "yes") == 0)
        ok(securechat_client_mark_verified(client, to, strlen(to), now));
    else if (strcmp(verb, "/verify") == 0 && to)
        snprintf(verifying, sizeof verifying, "%s", to), verify(to, strlen(to));
    else if (strcmp(verb, "/trust") == 0 && to) {
        if (ok(securechat_client_contact(client, to, strlen(to), 0, &contact, sizeof contact)))
            ok(securechat_client_accept_keys(client, to, strlen(to), contact.kept_aside, now));
    } else if (group_command(client, verb, to, more, now, &status))
        ok(status);
    else if (*verb)
        puts("/register, /login [CODE], /msg NAME TEXT, /file NAME PATH, /accept NUMBER, /history NAME [N], /verify NAME [yes], /trust NAME, /quit, " GROUP_COMMANDS);
}

/* ---- The program ---- */

static void start(const char *path, const char *name) {
    char salt[4096];
    uint8_t key[32];
    records_open(&store, path);
    snprintf(salt, sizeof salt, "%s.salt", path);
    key_of_passphrase(secret("SECURECHAT_PASSPHRASE", "passphrase: "), salt, key);
    if (!ok(securechat_client_new(NULL, name, strlen(name), key, store.list, store.count, SECURECHAT_HISTORY_CONTINUED, 0, now_ms(), &client)))
        exit(1);
    explicit_bzero(key, sizeof key);
    transfers = (struct transfers){.client = client, .store = &store};
    records_each(&store, KEPT, transfer_restore, &transfers);
    history = (struct history){.client = client, .store = &store};
    history_expire(&history, now_ms());
    records_forget(&store);
}

/* Whether something waits that leaving would delay: messages, or files under way. */
static int is_busy(void) {
    securechat_client_info info;
    for (size_t i = 0; i < transfers.count; i++)
        if (transfers.list[i].ours || transfers.list[i].fd >= 0)
            return 1;
    return ok(securechat_client_about(client, &info, sizeof info)) && info.unsent > 0;
}

int main(int count, char **words) {
    securechat_address address;
    char typed[20000], port[8];
    uint8_t bytes[65536];
    size_t length = 0;
    int leaving = 0;
    if (count != 4 || securechat_address_parse(words[3], strlen(words[3]), &address, sizeof address) != SECURECHAT_OK)
        die("chat_client STATE NAME HOST:PORT#FINGERPRINT");
    setvbuf(stdout, NULL, _IOFBF, 1 << 22); // settle shows it
    start(words[1], words[2]);
    snprintf(port, sizeof port, "%u", (unsigned)address.port);
    fd = open_socket(address.host, port, 0);
    set_nonblocking(fd);
    ok(securechat_client_connect_relay(client, words[3], strlen(words[3]), now_ms(), &link_number));
    while (!over) {
        uint64_t due = 0;
        int unwritten = settle();
        if (history.next_expiry && history.next_expiry <= now_ms())
            history_expire(&history, now_ms());
        char *end = ready ? (char *)memchr(typed, '\n', length) : NULL;
        if (end) { // one command at a time, each when the one before is under way
            *end = 0;
            if (strcmp(typed, "/quit") == 0)
                leaving = 1;
            else
                command(typed);
            length -= (size_t)(end + 1 - typed);
            memmove(typed, end + 1, length);
            continue;
        }
        if (leaving && ready && !is_busy() && !unwritten) {
            ok(securechat_client_close_link(client, link_number, now_ms()));
            break;
        }
        ok(securechat_client_tick(client, now_ms(), &due));
        unwritten = settle();
        struct pollfd polled[] = {{fd, unwritten ? POLLIN | POLLOUT : POLLIN, 0}, {ready && !leaving ? STDIN_FILENO : -1, POLLIN, 0}};
        poll(polled, 2, wait_ms(due, 60000));
        ssize_t got = polled[0].revents ? recv(fd, bytes, sizeof bytes, 0) : -1;
        if (got > 0)
            ok(securechat_client_input(client, link_number, bytes, (size_t)got, now_ms()));
        else if (polled[0].revents && (got == 0 || !is_later()))
            ok(securechat_client_end(client, link_number, now_ms()));
        if (polled[1].revents && (got = read(STDIN_FILENO, typed + length, sizeof typed - 1 - length)) >= 0) {
            length += (size_t)got;
            leaving = got == 0; // also where a line is too long
            if (leaving && length > 0)
                typed[length++] = '\n';
        }
    }
    settle();
    if (!leaving)
        puts("the relay is gone; start again"), failed = 1;
    securechat_client_free(client);
    records_close(&store);
    free(transfers.list);
    return failed;
}
