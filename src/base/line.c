/* SPDX-License-Identifier: MIT */
#include "base/line.h"

#include <unistd.h>

void line_add(struct line *line, const char *text, size_t most)
{
    while (*text && most-- && line->length < sizeof line->text)
        line->text[line->length++] = *text++;
}

void line_add_number(struct line *line, uintptr_t value, unsigned base)
{
    char digits[24];
    char *digit = digits + sizeof digits - 1;

    *digit = '\0';
    do
        *--digit = "0123456789abcdef"[value % base];
    while (value /= base);
    line_add(line, digit, sizeof digits);
}

void line_say(struct line *line)
{
    ssize_t ignored = write(STDERR_FILENO, line->text, line->length);

    (void)ignored;
    line->length = 0;
}
