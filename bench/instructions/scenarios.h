/* SPDX-License-Identifier: MIT */
/* What bench-instructions runs: see main.c. */
#ifndef INSTRUCTIONS_SCENARIOS_H
#define INSTRUCTIONS_SCENARIOS_H

#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>

/* A failure ends the program: a count of something else would be worse than none. */
#define expect(cond)                                                                               \
    ((cond) ? (void)0                                                                              \
            : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond), exit(1)))

struct scenario {
    const char *name;
    const char *round; /* what is done once in a round */
    void (*run)(unsigned rounds);
};

/* In a fiber. */
void echo_fiber(unsigned rounds);
void echo_multishot(unsigned rounds);
void echo_stackless(unsigned rounds);
void open_close(unsigned rounds);
void spawn_join(unsigned rounds);
void spawn_scope(unsigned rounds);
void yield(unsigned rounds);
void sleeps(unsigned rounds);
void timers(unsigned rounds);
void cancel(unsigned rounds);
void deadline(unsigned rounds);
void file_copy(unsigned rounds);

/* Time passes only where it is waited for, from now on. */
void clock_take_over(void);

#endif
