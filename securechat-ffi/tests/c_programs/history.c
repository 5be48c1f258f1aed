/* The history of examples/c without a relay: events as a client would give them, and what becomes of the messages. */
#include "../../../examples/c/history.h"
#include <assert.h>

static struct records store;
static struct history history;

static void came(uint32_t kind, const char *from, uint8_t id, uint8_t target, uint32_t message, const char *text, uint32_t seconds) {
    securechat_event event;
    memset(&event, 0, sizeof event);
    event.kind = kind;
    event.message = message;
    event.user = from;
    event.user_len = strlen(from);
    event.time = 1000;
    event.seconds = seconds;
    memset(event.id, id, 16);
    memset(event.target, target, 16);
    event.data = (const uint8_t *)text;
    event.data_len = strlen(text);
    event.name = text;
    event.name_len = strlen(text);
    history_event(&history, &event);
    records_commit(&store);
}

int main(int count, char **words) {
    static const uint8_t key[32] = {7};
    const uint32_t M = SECURECHAT_EVENT_MESSAGE, COPY = SECURECHAT_EVENT_SENT_COPY;
    static struct said said;
    char row[41];
    uint8_t id[16];
    assert(count == 2);
    records_open(&store, words[1]);
    assert(securechat_client_new(NULL, "alice", 5, key, NULL, 0, SECURECHAT_HISTORY_CONTINUED, 0, now_ms(), &history.client) == SECURECHAT_OK);
    history.store = &store;
    came(M, "bob", 1, 0, SECURECHAT_MESSAGE_TEXT, "frist", 0);
    came(M, "bob", 2, 0, SECURECHAT_MESSAGE_TEXT, "nonsense", 0);
    came(COPY, "bob", 3, 0, SECURECHAT_MESSAGE_TEXT, "mine", 0);
    came(M, "bob", 1, 0, SECURECHAT_MESSAGE_TEXT, "the same again", 0);
    came(SECURECHAT_EVENT_FILE_OFFERED, "bob", 4, 0, 0, "data.bin", 0);
    came(M, "bob", 11, 1, SECURECHAT_MESSAGE_EDIT, "first", 0);
    came(M, "bob", 12, 2, SECURECHAT_MESSAGE_DELETE, "", 0);
    came(M, "bob", 13, 2, SECURECHAT_MESSAGE_EDIT, "back again", 0);
    /* Nobody changes what another said, or what was said elsewhere. */
    came(M, "bob", 14, 3, SECURECHAT_MESSAGE_EDIT, "forged", 0);
    came(M, "mallory", 15, 1, SECURECHAT_MESSAGE_EDIT, "forged", 0);
    came(M, "mallory", 16, 1, SECURECHAT_MESSAGE_DELETE, "", 0);
    came(M, "bob", 17, 4, SECURECHAT_MESSAGE_EDIT, "forged", 0);
    history_show(&history, "bob", 20);
    puts("--");
    history_show(&history, "bob", 1);
    puts("--");
    /* One that expired long ago, and one that does in a year. */
    came(M, "carol", 5, 0, SECURECHAT_MESSAGE_TEXT, "over", 1);
    came(M, "carol", 6, 0, SECURECHAT_MESSAGE_TEXT, "stays", 4000000000u);
    assert(history.next_expiry == 2000);
    history_expire(&history, 2000);
    records_commit(&store);
    assert(history.next_expiry == 4000000001000);
    memset(id, 5, sizeof id);
    assert(!history_get(&history, history_key(id, row), &said));
    history_show(&history, "carol", 20);
    securechat_client_free(history.client);
    records_close(&store);
    return 0;
}
