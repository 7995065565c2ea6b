/* SPDX-License-Identifier: MIT */
/* What the tests on real rings share.
 *
 *   must(), must_be()   checks that work anywhere: in a fiber, on another shard's thread, in a
 * child. cmocka's assertions jump out of the test and so belong on the test's own stack. run_on()
 * runs a function as main on N shards, and checks that nothing is left of it until()             a
 * fiber polls for a condition, bounded in time: no sleep stands for an order waiter_* one wait, as
 * a fiber or as a stackless task in_child()          runs a function in a child and collects its
 * end and its stderr
 */
#ifndef SUPPORT_SUPPORT_H
#define SUPPORT_SUPPORT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ouro.h>

OURO_BEGIN_DECLS
#include <cmocka.h>

#define US  OURO_NSEC_PER_USEC
#define MS  OURO_NSEC_PER_MSEC
#define SEC OURO_NSEC_PER_SEC

/* A failed check ends the process: what it stood on may be in any state. */
__attribute__((noreturn)) void must_fail(const char *file, int line, const char *what);
void must_be_equal(const char *file, int line, const char *what, long long actual,
                   long long expected);

#define must(cond) ((cond) ? (void)0 : must_fail(__FILE__, __LINE__, #cond))
#define must_be(actual, expected)                                                                  \
    must_be_equal(__FILE__, __LINE__, #actual " is " #expected, (long long)(actual),               \
                  (long long)(expected))

/* Polls until it is so, at most 30 s; other tasks run meanwhile. Fiber only. */
#define until(cond)                                                                                \
    do {                                                                                           \
        uint64_t until_end = ouro_now_precise_ns() + 30 * SEC;                                     \
        unsigned until_n = 0;                                                                      \
                                                                                                   \
        while (!(cond)) {                                                                          \
            if (ouro_now_precise_ns() > until_end)                                                 \
                must_fail(__FILE__, __LINE__, "in time: " #cond);                                  \
            until_pause(until_n++);                                                                \
        }                                                                                          \
    } while (0)
void until_pause(unsigned n);

/* Options of a small runtime, quick to start: `shards` of them, sharing CPUs where there are fewer.
 */
struct ouro_options small_options(unsigned shards);

/* Runs fn(arg) as main; the result is its value. After it: no task, timer, operation, descriptor,
 * thread or provided buffer is left on any shard, and the process has as many descriptors and
 * threads as before. */
int run_with(const struct ouro_options *options, ouro_task_fn *fn, void *arg);
int run_on(unsigned shards, ouro_task_fn *fn, void *arg);

/* A cmocka test `name` that runs name_main on one shard. */
#define ON_ONE_SHARD(name)                                                                         \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(run_on(1, name##_main, NULL), 0);                                         \
    }

/* The same check without the end of a run: what one shard still holds besides the calling task. ""
 * if nothing. Closes that nobody waits for are given time. Fiber only. */
void leftovers(char *text, size_t bytes);

unsigned open_descriptors(void);
unsigned threads_alive(void);

/* The same, after a while in which it may fall to `expected`: a thread that was joined is counted a
 * little longer. The kernel's workers (io-wq) are not counted. */
unsigned threads_settled(unsigned expected);

/* True when the process was built with one of the sanitizers, or runs slowly for another known
 * reason: for sizes and time bounds, never for what is checked. */
bool slow_build(void);

/* --- one wait in both styles -------------------------------------------------------------------
 */

enum style { FIBER, STACKLESS, STYLES };
extern const char *const style_name[STYLES];

/* A task that starts a future by start(arg), waits for it, and keeps what came of it. */
struct waiter {
    struct ouro_future *(*start)(void *arg); /* NULL instead of a future: the task ends at once */
    void *arg;
    uint64_t deadline_ns; /* of the wait; 0: none */
    bool shielded;        /* waits inside of a shield */

    bool started, ended;
    int result; /* of the wait */
    enum style style;
    struct ouro_future *future;
    struct ouro_task task;
    struct ouro_timer timer;
    ouro_fiber fiber;
};

/* Zeroes what is not the caller's and spawns it. It runs after the caller next waits. */
void waiter_spawn(struct waiter *w, enum style style, struct ouro_scope *scope);
void waiter_cancel(struct waiter *w);

/* --- children ------------------------------------------------------------------------------------
 */

struct child {
    int status; /* of waitpid */
    char *said; /* stderr; free it with child_free() */
};

/* Runs fn(arg) in a forked child, which exits with its value; at most 60 s. */
void in_child(struct child *c, int (*fn)(void *arg), void *arg);
void child_free(struct child *c);

/* The child's exit status; a child that did not exit by itself fails the test and shows what it
 * said. */
int child_exit(const struct child *c);

OURO_END_DECLS

#endif
