/* What others wrote, printed so that a terminal shows it and does not obey it. */
#ifndef SHOW_H
#define SHOW_H

#include <stdint.h>
#include <stdio.h>

/* Controls, and characters that show nothing or turn the direction of writing. */
static inline int is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || (c >= 0xe000 && c <= 0xf8ff) ||
           (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c >= 0xe0000;
}

/* Prints UTF-8; what is hidden, and bytes that are no UTF-8, as a number. */
static inline void show(const void *text, size_t length) {
    const uint8_t *byte = (const uint8_t *)text, *end = byte + length;
    while (byte < end) {
        size_t more = *byte < 0x80 ? 0 : *byte >= 0xc2 && *byte < 0xe0 ? 1 : (*byte & 0xf0) == 0xe0 ? 2 : (*byte & 0xf8) == 0xf0 ? 3 : 9;
        size_t whole = 1;
        uint32_t c = more == 0 ? *byte : *byte & (0x3fu >> more);
        while (more < 9 && whole <= more && byte + whole < end && (byte[whole] & 0xc0) == 0x80)
            c = c << 6 | (byte[whole++] & 0x3f);
        if (whole != more + 1)
            printf("<%02X>", *byte), whole = 1;
        else if (is_hidden(c))
            printf("<U+%04X>", (unsigned)c);
        else
            fwrite(byte, 1, whole, stdout);
        byte += whole;
    }
}

#endif
