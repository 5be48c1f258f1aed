/* Groups: what a chat client shows of them, and the commands about them. A group is called # and 32 digits, and whoever writes to
 * that name writes to all of its members.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include "show.h"
#include <securechat.h>
#include <string.h>

#define OPEN_TO_ALL "open: whoever can register at the relay reads it, its operator included"

/* Behind the name of who wrote or offers something: in which group. */
static inline void group_mark(const securechat_event *event) {
    if (event->flags & SECURECHAT_FLAG_IN_GROUP && event->kind != SECURECHAT_EVENT_SENT_COPY)
        printf(" in %s", event->group);
    if (event->flags & SECURECHAT_FLAG_BEFORE_REMOVAL)
        fputs(" (who did not know yet of a removal: who was removed may read this)", stdout);
}

/* What is known of one group. */
static inline void group_print(const securechat_group *group) {
    printf("%s ", group->group), show(group->name, group->name_len);
    printf(": %.*s", (int)group->members_len, group->members);
    if (!(group->flags & SECURECHAT_GROUP_MEMBER))
        fputs(" (you are not in it)", stdout);
    if (group->flags & SECURECHAT_GROUP_OPEN)
        fputs(" (" OPEN_TO_ALL ")", stdout);
    if (group->flags & SECURECHAT_GROUP_FORKED)
        fputs(" (FORKED: see /side)", stdout);
    putchar('\n');
}

/* Tells of an event about a group; nothing of others. */
static inline void group_event(securechat_client *client, const securechat_event *event) {
    static const char *const words[] = {"changed", "added", "removed", "made an admin of", "took the rights of an admin from", "named the group"};
    securechat_group group;
    switch (event->kind) {
    case SECURECHAT_EVENT_GROUP_JOINED:
        if (securechat_client_group(client, event->group, strlen(event->group), 0, &group, sizeof group) == SECURECHAT_OK)
            fputs("you are in ", stdout), group_print(&group);
        break;
    case SECURECHAT_EVENT_LOBBY:
        printf("the relay offers a lobby (" OPEN_TO_ALL "): /join %s\n", event->group);
        break;
    case SECURECHAT_EVENT_GROUP_CHANGED:
        printf("%.*s in %s %s ", (int)event->user_len, event->user, event->group, words[event->code <= SECURECHAT_CHANGE_RENAME ? event->code : 0]);
        show(event->data, event->data_len), putchar('\n');
        break;
    case SECURECHAT_EVENT_GROUP_FORKED:
        printf("WARNING: %.*s, or who has their key, showed members of %s different things; ask the others, then /side %s first|other\n",
               (int)event->user_len, event->user, event->group, event->group);
        break;
    case SECURECHAT_EVENT_GROUP_REFUSED:
        printf("not done in %s: %s\n", event->group, securechat_status_message(event->status));
        break;
    default:
        break;
    }
}

#define GROUP_COMMANDS "/new NAME, /open NAME, /groups, /join #GROUP, /invite #GROUP NAMES, /remove #GROUP NAMES, /admin #GROUP NAME, /rename #GROUP NAME, /side #GROUP first|other"

/* Whether `verb` is about groups; sets `status` to how it went. */
static inline int group_command(securechat_client *client, const char *verb, char *to, char *more, uint64_t now, securechat_status *status) {
    static const struct {
        const char *verb;
        uint32_t change;
    } changes[] = {{"/join", SECURECHAT_CHANGE_JOIN}, {"/invite", SECURECHAT_CHANGE_ADD}, {"/remove", SECURECHAT_CHANGE_REMOVE},
                   {"/admin", SECURECHAT_CHANGE_ADMIN}, {"/rename", SECURECHAT_CHANGE_RENAME}, {"/side", SECURECHAT_CHANGE_FIRST_SIDE}};
    int open = strcmp(verb, "/open") == 0;
    *status = SECURECHAT_OK;
    if (strcmp(verb, "/groups") == 0) {
        securechat_group group;
        for (size_t index = 0; securechat_client_group(client, NULL, 0, index, &group, sizeof group) == SECURECHAT_OK; index++)
            group_print(&group);
        return 1;
    }
    if (to && (open || strcmp(verb, "/new") == 0)) {
        char group[SECURECHAT_GROUP_SIZE];
        if (more)
            more[-1] = ' '; // the name is all of the line
        *status = securechat_client_create_group(client, to, strlen(to), (uint32_t)open, now, group);
        if (*status == SECURECHAT_OK)
            printf("the group is called %s: /invite %s NAMES\n", group, group);
        return 1;
    }
    for (size_t i = 0; to && i < sizeof changes / sizeof *changes; i++) {
        if (strcmp(verb, changes[i].verb) != 0)
            continue;
        uint32_t change = changes[i].change;
        if (change == SECURECHAT_CHANGE_FIRST_SIDE) {
            if (!more || (strcmp(more, "first") != 0 && strcmp(more, "other") != 0))
                return 0;
            change = more[0] == 'f' ? SECURECHAT_CHANGE_FIRST_SIDE : SECURECHAT_CHANGE_OTHER_SIDE;
        }
        *status = securechat_client_change_group(client, to, strlen(to), change, more, more ? strlen(more) : 0, now);
        return 1;
    }
    return 0;
}

#endif
