/* SPDX-License-Identifier: MIT */
/* 100,000 fibers and 100,000 stackless tasks at once, on one shard: all sleep, all are cancelled,
 * all end; with what memory they take. Fewer under sanitizers. */
#include "support/support.h"

#define N (slow_build() ? 30000u : 100000u) /* ThreadSanitizer takes 300 us for each */

static unsigned sleeping, ended;

static int sleeps(void *arg)
{
    (void)arg;
    sleeping++;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    ended++;
    return 0;
}

struct nap {
    struct ouro_task task;
    struct ouro_timer timer;
};

static void nap_resume(struct ouro_task *task)
{
    struct nap *n = OURO_FRAME(task, struct nap, task);

    OURO_BEGIN(task);
    sleeping++;
    must_be(ouro_timer_start(&n->timer, OURO_FOREVER), 0);
    OURO_AWAIT(task, &n->timer.future);
    must_be(ouro_result(&n->timer.future), -ECANCELED);
    ended++;
    OURO_END(task, 0);
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    must(f != NULL);
    must_be(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void report(const char *what, size_t before)
{
    print_message("%u %s asleep: %.0f bytes resident each\n", N, what,
                  (double)(resident() - before) / N);
}

static int fibers_main(void *arg)
{
    struct ouro_scope scope;
    size_t before = resident();

    (void)arg;
    for (int round = 0; round < 2; round++) { /* the second on used stacks */
        sleeping = ended = 0;
        must_be(ouro_scope_enter(&scope, 0), 0);
        for (unsigned i = 0; i < N; i++)
            must_be(ouro_spawn(&scope, sleeps, NULL, 0), 0);
        until(sleeping == N);
        report("fibers", before);
        must(slow_build() || resident() - before < N * (size_t)6144);
        ouro_scope_cancel(&scope);
        must_be(ouro_scope_leave(&scope), 0);
        must_be(ended, N);
    }
    return 0;
}

static int stackless_main(void *arg)
{
    struct nap *naps = calloc(N, sizeof *naps);
    struct ouro_scope scope;
    size_t before = resident();

    (void)arg;
    must(naps != NULL);
    sleeping = ended = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < N; i++)
        must_be(ouro_task_start(&scope, &naps[i].task, nap_resume, "nap"), 0);
    until(sleeping == N);
    report("stackless tasks", before);
    must(slow_build() || resident() - before < N * (size_t)256);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ended, N);
    free(naps);
    return 0;
}

/* Joined one by one, in another order than they ended in. */
static int number(void *arg)
{
    unsigned n = *(unsigned *)arg;

    for (unsigned i = n % 4; i > 0; i--)
        must_be(ouro_yield(), 0);
    return (int)n;
}

static int joined_main(void *arg)
{
    ouro_fiber *fiber = calloc(N, sizeof *fiber);
    int value = 0;

    (void)arg;
    must(fiber != NULL);
    for (unsigned i = 0; i < N; i++)
        must_be(ouro_spawn_joinable(NULL, number, &i, sizeof i, &fiber[i]), 0);
    for (unsigned i = 0; i < N; i++) {
        unsigned k = (unsigned)(i * UINT64_C(7919) % N);

        must_be(ouro_join(fiber[k], &value), OURO_END_RETURNED);
        must_be(value, k);
    }
    free(fiber);
    return 0;
}

ON_ONE_SHARD(fibers)
ON_ONE_SHARD(stackless)
ON_ONE_SHARD(joined)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fibers),
        cmocka_unit_test(stackless),
        cmocka_unit_test(joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
