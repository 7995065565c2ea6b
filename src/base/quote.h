/* SPDX-License-Identifier: MIT */
/* Foreign text inside our messages: quoted, printable, bounded. */
#ifndef OURO_SRC_BASE_QUOTE_H
#define OURO_SRC_BASE_QUOTE_H

#include <stddef.h>

/* Two quoted texts and the sentence around them fit a message of 256 bytes. */
enum { QUOTE_BYTES = 72 };

/*
 * Writes the len bytes of text into buf, in single quotes, and returns buf. Whatever is not
 * printable ASCII becomes \xNN, so that no message can drive a terminal or forge a second log line;
 * what does not fit ends in "...".
 */
const char *quote_text(char buf[QUOTE_BYTES], const char *text, size_t len);

#endif /* OURO_SRC_BASE_QUOTE_H */
