/* SPDX-License-Identifier: MIT */
/* A million spawns through one scope that stays open: nothing grows with what has passed through
 * it. */
#include "support/support.h"

#define MANY  (slow_build() ? 100000u : 1000000u)
#define BATCH 1000u

static unsigned ran;

static int short_life(void *arg)
{
    ran++;
    return *(int *)arg;
}

struct brief {
    struct ouro_task task;
};

static void brief_resume(struct ouro_task *task)
{
    OURO_BEGIN(task);
    ran++;
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

static int million_main(void *arg)
{
    static struct brief brief[BATCH];
    struct ouro_scope scope;
    size_t settled = 0;
    int zero = 0;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned done = 0; done < MANY; done += BATCH) {
        ran = 0;
        for (unsigned i = 0; i < BATCH; i++)
            if ((done / BATCH) % 2 == 0)
                must_be(ouro_spawn(&scope, short_life, &zero, sizeof zero), 0);
            else
                must_be(ouro_task_start(&scope, &brief[i].task, brief_resume, "brief"), 0);
        while (ran < BATCH)
            must_be(ouro_yield(), 0);
        if (done / BATCH == 9)
            settled = resident();
    }
    must(slow_build() || resident() < settled + (4 << 20)); /* shadow memory grows */
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

/* Joinable ones, joined as they come: their handles are used again. */
static int joinable_main(void *arg)
{
    struct ouro_scope scope;
    ouro_fiber fiber[100];
    size_t settled = 0;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned done = 0; done < MANY / 10; done += 100) {
        for (int i = 0; i < 100; i++)
            must_be(ouro_spawn_joinable(&scope, short_life, &i, sizeof i, &fiber[i]), 0);
        for (int i = 99; i >= 0; i--) {
            int value = -1;

            must_be(ouro_join(fiber[i], &value), OURO_END_RETURNED);
            must_be(value, i);
        }
        if (done == 1000)
            settled = resident();
    }
    must(slow_build() || resident() < settled + (4 << 20));
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

ON_ONE_SHARD(million)
ON_ONE_SHARD(joinable)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(million), cmocka_unit_test(joinable)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
