/* SPDX-License-Identifier: MIT */
/*
 * What tasks cost: spawn and join of a thousand, yielding among two and a thousand, waking one, and
 * the memory of an idle one. Held against bare operations in the same run: a list push and pop, and
 * a switch of stacks with no scheduler.
 */
#include "common/harness.h"
#include "shard/context.h"

#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define THOUSAND 1000

/* --- bare operations ------------------------------------------------------------------------- */

struct cell {
    struct cell *next;
};

static uint64_t list_push_pop(void *context, uint64_t operations)
{
    static struct cell cells[64];
    struct cell *head = NULL;

    (void)context;
    for (uint64_t i = 0; i < operations; i++) {
        struct cell *c = &cells[i % 64];

        c->next = head;
        head = c;
        bench_keep(head);
        head = head->next;
    }
    bench_keep(head);
    return 0;
}

static struct context main_context, other_context;
static char other_stack[65536];

static void switch_back(void *arg)
{
    (void)arg;
    for (;;)
        context_switch(&other_context, &main_context, NULL);
}

/* One operation is one switch. */
static uint64_t bare_switch(void *context, uint64_t operations)
{
    (void)context;
    context_make_thread(&main_context);
    context_make(&other_context, other_stack, other_stack + sizeof other_stack, switch_back, NULL);
    for (uint64_t i = 0; i < operations; i += 2)
        context_switch(&main_context, &other_context, NULL);
    context_destroy(&other_context);
    return 0;
}

/* --- spawn and join -------------------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* One operation is a thousand fibers, joined by leaving their scope. */
static uint64_t spawn_fibers(void *context, uint64_t operations)
{
    (void)context;
    for (uint64_t k = 0; k < operations; k++) {
        struct ouro_scope scope;

        if (ouro_scope_enter(&scope, 0) != 0)
            return BENCH_FAILED;
        for (int i = 0; i < THOUSAND; i++)
            if (ouro_spawn(&scope, nothing, &i, sizeof i) != 0)
                return BENCH_FAILED;
        ouro_scope_leave(&scope);
    }
    return 0;
}

/* The same, each joined by its handle. */
static uint64_t spawn_joinable(void *context, uint64_t operations)
{
    static ouro_fiber fiber[THOUSAND];

    (void)context;
    for (uint64_t k = 0; k < operations; k++) {
        for (int i = 0; i < THOUSAND; i++)
            if (ouro_spawn_joinable(NULL, nothing, &i, sizeof i, &fiber[i]) != 0)
                return BENCH_FAILED;
        for (int i = 0; i < THOUSAND; i++)
            if (ouro_join(fiber[i], NULL) != OURO_END_RETURNED)
                return BENCH_FAILED;
    }
    return 0;
}

static void end_at_once(struct ouro_task *task)
{
    OURO_BEGIN(task);
    OURO_END(task, 0);
}

static uint64_t spawn_stackless(void *context, uint64_t operations)
{
    static struct ouro_task task[THOUSAND];

    (void)context;
    for (uint64_t k = 0; k < operations; k++) {
        struct ouro_scope scope;

        if (ouro_scope_enter(&scope, 0) != 0)
            return BENCH_FAILED;
        for (int i = 0; i < THOUSAND; i++)
            if (ouro_task_start(&scope, &task[i], end_at_once, "bench") != 0)
                return BENCH_FAILED;
        ouro_scope_leave(&scope);
    }
    return 0;
}

/* --- yield ----------------------------------------------------------------------------------- */

struct yielding {
    unsigned tasks;
    uint64_t each;
};

static int yield_fiber(void *arg)
{
    for (uint64_t i = *(uint64_t *)arg; i != 0; i--)
        (void)ouro_yield();
    return 0;
}

/* One operation is one yield of one task; starting and ending them does not count. */
static uint64_t yield_fibers(void *context, uint64_t operations)
{
    struct yielding *y = context;
    struct ouro_scope scope;
    uint64_t start;

    y->each = operations / y->tasks;
    if (ouro_scope_enter(&scope, 0) != 0)
        return BENCH_FAILED;
    for (unsigned i = 0; i < y->tasks; i++)
        if (ouro_spawn(&scope, yield_fiber, &y->each, sizeof y->each) != 0)
            return BENCH_FAILED;
    start = bench_now_ns();
    ouro_scope_leave(&scope);
    return bench_now_ns() - start;
}

struct yielder {
    struct ouro_task task;
    uint64_t left;
};

static void yielder_resume(struct ouro_task *task)
{
    struct yielder *y = OURO_FRAME(task, struct yielder, task);

    OURO_BEGIN(task);
    while (y->left-- != 0)
        OURO_YIELD(task);
    OURO_END(task, 0);
}

static uint64_t yield_stackless(void *context, uint64_t operations)
{
    static struct yielder task[THOUSAND];
    struct yielding *y = context;
    struct ouro_scope scope;
    uint64_t start;

    if (ouro_scope_enter(&scope, 0) != 0)
        return BENCH_FAILED;
    for (unsigned i = 0; i < y->tasks; i++) {
        task[i].left = operations / y->tasks;
        if (ouro_task_start(&scope, &task[i].task, yielder_resume, "bench") != 0)
            return BENCH_FAILED;
    }
    start = bench_now_ns();
    ouro_scope_leave(&scope);
    return bench_now_ns() - start;
}

/* --- wake ------------------------------------------------------------------------------------ */

/* Two fibers hand a turn to each other through cancelled timers: one operation is one wake of a
 * task that waits, from another task, until it runs. */
struct ping {
    struct ouro_timer timer[2];
    uint64_t left;
};

static int pong_fiber(void *arg)
{
    struct ping *p = *(struct ping **)arg;

    while (p->left != 0) {
        if (ouro_timer_start(&p->timer[1], OURO_FOREVER) != 0)
            break;
        ouro_timer_cancel(&p->timer[0]);
        ouro_await(&p->timer[1].future);
    }
    ouro_timer_cancel(&p->timer[0]);
    return 0;
}

static uint64_t wake(void *context, uint64_t operations)
{
    static struct ping p;
    struct ping *address = &p;
    struct ouro_scope scope;

    (void)context;
    p.left = operations / 2;
    if (ouro_scope_enter(&scope, 0) != 0 ||
        ouro_spawn(&scope, pong_fiber, &address, sizeof address) != 0)
        return BENCH_FAILED;
    while (p.left != 0) {
        if (ouro_timer_start(&p.timer[0], OURO_FOREVER) != 0)
            break;
        ouro_timer_cancel(&p.timer[1]);
        ouro_await(&p.timer[0].future);
        p.left--;
    }
    ouro_timer_cancel(&p.timer[1]);
    ouro_scope_leave(&scope);
    return 0;
}

/* --- memory ---------------------------------------------------------------------------------- */

static long resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL || fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (f != NULL)
        fclose(f);
    return resident * 4096;
}

#define IDLE 100000

/* A stackless task and what it waits for. */
struct idle {
    struct ouro_task task;
    struct ouro_future awaited;
};

static int sleep_fiber(void *arg)
{
    (void)arg;
    return ouro_sleep(OURO_FOREVER / 4);
}

/* What an echo connection has on its stack while it waits. */
static int buffer_fiber(void *arg)
{
    char buf[2048];

    (void)arg;
    memset(buf, 1, sizeof buf);
    bench_keep(buf);
    return ouro_sleep(OURO_FOREVER / 4);
}

/* On fresh stacks: those of the scopes that are open still live. */
static void idle_fibers(struct bench *bench, struct ouro_scope *scope, const char *parameter,
                        ouro_task_fn *fn)
{
    long before;

    if (ouro_scope_enter(scope, 0) != 0)
        return;
    before = resident_bytes();
    for (int i = 0; i < IDLE; i++)
        if (ouro_spawn(scope, fn, NULL, 0) != 0)
            bench->failures++;
    for (int i = 0; i < 3; i++)
        (void)ouro_yield();
    bench_value(bench, "fiber", parameter, "resident", "bytes",
                (double)(resident_bytes() - before) / IDLE);
}

static void idle_memory(struct bench *bench)
{
    static struct ouro_scope scope[2];

    idle_fibers(bench, &scope[0], "idle-in-sleep", sleep_fiber);
    idle_fibers(bench, &scope[1], "idle-with-2048-byte-buffer", buffer_fiber);
    for (int i = 1; i >= 0; i--) {
        ouro_scope_cancel(&scope[i]);
        ouro_scope_leave(&scope[i]);
    }
    bench_value(bench, "stackless", "idle", "size", "bytes", sizeof(struct idle));
}

/* --- all of it ------------------------------------------------------------------------------- */

static int bench_main(void *arg)
{
    struct bench *bench = arg;
    struct yielding two = {.tasks = 2}, thousand = {.tasks = THOUSAND};
    const struct bench_subject bare[] = {{.name = "list-push-pop", .run = list_push_pop},
                                         {.name = "stack-switch", .run = bare_switch}};
    const struct bench_subject spawn[] = {{.name = "list-push-pop", .run = list_push_pop},
                                          {.name = "stackless", .run = spawn_stackless},
                                          {.name = "fiber", .run = spawn_fibers},
                                          {.name = "fiber-joinable", .run = spawn_joinable}};
    const struct bench_subject yield2[] = {
        {.name = "stack-switch", .run = bare_switch},
        {.name = "stackless", .run = yield_stackless, .context = &two},
        {.name = "fiber", .run = yield_fibers, .context = &two}};
    const struct bench_subject yield1000[] = {
        {.name = "stack-switch", .run = bare_switch},
        {.name = "stackless", .run = yield_stackless, .context = &thousand},
        {.name = "fiber", .run = yield_fibers, .context = &thousand}};
    const struct bench_subject wakes[] = {{.name = "stack-switch", .run = bare_switch},
                                          {.name = "fiber", .run = wake}};

    bench_compare(bench, "bare", bare, 2);
    bench_compare(bench, "spawn-join-1000", spawn, 4);
    bench_compare(bench, "yield-2", yield2, 3);
    bench_compare(bench, "yield-1000", yield1000, 3);
    bench_compare(bench, "wake", wakes, 2);
    idle_memory(bench);
    return 0;
}

int main(int argc, char **argv)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1};
    struct bench bench;
    int error;

    bench_init(&bench, "tasks", argc, argv);
    error = ouro_run(&options, bench_main, &bench, NULL);
    if (error != 0)
        fprintf(stderr, "bench-tasks: %s\n", ouro_start_error());
    return error != 0 ? 1 : bench_finish(&bench);
}
