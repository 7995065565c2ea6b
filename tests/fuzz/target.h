/* SPDX-License-Identifier: MIT */
/* What the targets share. Each is one function that gets any bytes, calls what is tested, and
 * demands more than that it does not crash. libFuzzer drives it (OURO_FUZZ), or replay.c with the
 * checked-in corpus. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define demand(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bytes as text, in a block of its exact size: a step beyond the NUL is seen. Free it. */
static inline char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    demand(text != NULL);
    if (size != 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* One line of printable ASCII within `room` bytes. */
static inline void demand_message(const char *message, size_t room)
{
    size_t len = strnlen(message, room);

    demand(len != 0 && len < room);
    for (size_t i = 0; i < len; i++)
        demand(message[i] >= ' ' && message[i] <= '~');
}

#endif
