/* SPDX-License-Identifier: MIT */
#include "base/quote.h"

#include <stdbool.h>

/* Kept free for the end: three dots, the closing quote, the NUL. */
enum { QUOTE_TAIL_BYTES = 5 };

static bool is_printable(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static size_t quote_byte(char *at, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";

    if (is_printable(c)) {
        at[0] = (char)c;
        return 1;
    }
    at[0] = '\\';
    at[1] = 'x';
    at[2] = digits[c >> 4];
    at[3] = digits[c & 15];
    return 4;
}

const char *quote_text(char buf[QUOTE_BYTES], const char *text, size_t len)
{
    size_t used = 0;

    buf[used++] = '\'';
    for (size_t i = 0; i < len; i++) {
        size_t width = is_printable((unsigned char)text[i]) ? 1 : 4;

        if (used + width > QUOTE_BYTES - QUOTE_TAIL_BYTES) {
            for (int dot = 0; dot < 3; dot++)
                buf[used++] = '.';
            break;
        }
        used += quote_byte(buf + used, (unsigned char)text[i]);
    }
    buf[used++] = '\'';
    buf[used] = '\0';
    return buf;
}
