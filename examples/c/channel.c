/* Two programs talk over a secure channel: what is typed here appears there. No chat, no accounts, no relay.
 *     channel listen PORT KEYFILE              makes KEYFILE the first time, and prints the port and the fingerprint
 *     channel connect HOST PORT FINGERPRINT    talks to whoever holds that key, and to nobody else
 */
#include "net.h"
#include <poll.h>
#include <securechat.h>

static securechat_link *channel;

/* Every call goes through this: a channel that failed is over. */
static void check(securechat_status status) {
    if (status != SECURECHAT_OK)
        die("%s", channel ? securechat_link_error(channel) : securechat_status_message(status));
}

static int listen_as(const char *port, const char *keyfile) {
    securechat_identity *identity = NULL;
    securechat_bundle info;
    uint8_t bytes[4096], bundle[4096];
    size_t length;
    char digits[65];
    ssize_t kept = read_file(keyfile, bytes, sizeof bytes);
    check(kept < 0 ? securechat_identity_generate(NULL, now_ms(), &identity)
                   : securechat_identity_import(NULL, bytes, (size_t)kept, now_ms(), &identity));
    check(securechat_identity_export(identity, bytes, sizeof bytes, &length)); // import may have renewed it
    replace_file(keyfile, bytes, length);
    explicit_bzero(bytes, sizeof bytes);
    check(securechat_identity_bundle(identity, bundle, sizeof bundle, &length)), check(securechat_bundle_read(bundle, length, &info, sizeof info));
    int listening = open_socket(NULL, port, 1);
    fprintf(stderr, "%u %s\n", port_of(listening), to_hex(info.fingerprint, 32, digits));
    int fd = accept(listening, NULL, NULL); // one connection, and no other
    check(securechat_link_new(NULL, SECURECHAT_ROLE_RESPONDER, SECURECHAT_PURPOSE_RELAY, identity, NULL, now_ms(), &channel));
    securechat_identity_free(identity);
    return fd;
}

int main(int count, char **words) {
    uint8_t fingerprint[32], bytes[16384];
    const uint8_t *out;
    size_t waiting;
    uint64_t due;
    securechat_event event;
    int fd, opened = 0, done = 0, theirs = 0, over = 0; // `done`: nothing more is typed here; `theirs`: nor there
    if (count == 4 && strcmp(words[1], "listen") == 0)
        fd = listen_as(words[2], words[3]);
    else if (count == 5 && strcmp(words[1], "connect") == 0 && from_hex(words[4], fingerprint, 32) == 0) {
        fd = open_socket(words[2], words[3], 0);
        check(securechat_link_new(NULL, SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY, NULL, fingerprint, now_ms(), &channel));
    } else
        die("channel listen PORT KEYFILE\nchannel connect HOST PORT FINGERPRINT (64 digits)");
    for (set_nonblocking(fd);;) {
        while (check(securechat_link_next_event(channel, &event, sizeof event)), event.kind != SECURECHAT_EVENT_NONE) {
            if (event.kind == SECURECHAT_EVENT_VERIFY)
                die("whoever answers has another key than the one expected");
            opened |= event.kind == SECURECHAT_EVENT_OPEN;
            over |= event.kind == SECURECHAT_EVENT_CLOSED_BY_PEER;
            theirs |= event.kind == SECURECHAT_EVENT_DATA && event.data_len == 0; // the last record is empty
            if (event.kind == SECURECHAT_EVENT_DATA)
                write_all(STDOUT_FILENO, event.data, event.data_len);
        }
        if (done && theirs && !over)
            securechat_link_close(channel, SECURECHAT_CLOSE_DONE); // a second time does nothing
        check(securechat_link_tick(channel, now_ms(), &due));
        check(securechat_link_output(channel, &out, &waiting));
        if (over && waiting == 0)
            break;
        struct pollfd ready[] = {{fd, waiting ? POLLIN | POLLOUT : POLLIN, 0}, {opened && !done && !waiting ? STDIN_FILENO : -1, POLLIN, 0}};
        poll(ready, 2, wait_ms(due, 60000));
        ssize_t got;
        if (waiting && (got = send(fd, out, waiting, MSG_NOSIGNAL)) > 0)
            check(securechat_link_output_consume(channel, (size_t)got));
        if (ready[0].revents && ((got = recv(fd, bytes, sizeof bytes, 0)) >= 0 || !is_later()))
            check(got > 0 ? securechat_link_input(channel, bytes, (size_t)got, now_ms()) : securechat_link_end(channel));
        if (ready[1].revents && (got = read(STDIN_FILENO, bytes, sizeof bytes)) >= 0)
            check(securechat_link_send(channel, bytes, (size_t)got)), done = got == 0;
    }
    securechat_link_free(channel);
}
