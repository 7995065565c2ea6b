/* SPDX-License-Identifier: MIT */
/* A line of text for signal handlers: everything here is async-signal-safe. */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed it is empty; what does not fit is left out. */
struct line {
    char text[256];
    size_t length;
};

/* At most `most` bytes of the text: SIZE_MAX of one's own. */
void line_add(struct line *line, const char *text, size_t most);
void line_add_number(struct line *line, uintptr_t value, unsigned base);

/* Writes it to standard error, and empties it. */
void line_say(struct line *line);

#endif
