/* SPDX-License-Identifier: MIT */
/* Broken invariants of our own end the process with a message; mistakes of the user return errors.
 *
 *   ensure(cond, …)   always on: cheap, and going on would corrupt memory
 *   check(cond)       on in checked builds (OURO_CHECKED)
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <ouro/base.h>

/* Prints "ouro: " and the message to stderr, then aborts. Usable on a fiber's small stack. */
_Noreturn void fatal(const char *format, ...) OURO_PRINTF(1, 2);

/* A line on stderr, "ouro: " before it; one write. */
void notice(const char *format, ...) OURO_PRINTF(1, 2);

#define ensure(cond, ...)                                                                          \
    do {                                                                                           \
        if (OURO_UNLIKELY(!(cond)))                                                                \
            fatal(__VA_ARGS__);                                                                    \
    } while (0)

#if OURO_CHECKED
#define check(cond) ensure(cond, "%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond)
#else
#define check(cond) ((void)sizeof(cond))
#endif

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of which `ptr` is the member. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
