/* SPDX-License-Identifier: MIT */
/* Tasks, time and files. */
#include "instructions/scenarios.h"
#include "support/fake_kernel.h"

#include <fcntl.h>
#include <ouro/file.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

void spawn_join(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        ouro_fiber f;

        expect(ouro_spawn_joinable(NULL, nothing, NULL, 0, &f) == 0);
        expect(ouro_join(f, NULL) == OURO_END_RETURNED);
    }
}

void spawn_scope(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i += 100) {
        struct ouro_scope scope;

        expect(ouro_scope_enter(&scope, 0) == 0);
        for (unsigned k = 0; k < 100; k++)
            expect(ouro_spawn(&scope, nothing, NULL, 0) == 0);
        expect(ouro_scope_leave(&scope) == 0);
    }
}

static int yield_on(void *arg)
{
    unsigned rounds = *(unsigned *)arg;

    for (unsigned i = 0; i < rounds; i++)
        expect(ouro_yield() == 0);
    return 0;
}

static int sleep_on(void *arg)
{
    unsigned rounds = *(unsigned *)arg;

    for (unsigned i = 0; i < rounds; i++)
        expect(ouro_sleep(OURO_NSEC_PER_MSEC) == 0);
    return 0;
}

static void in_parallel(unsigned tasks, ouro_task_fn *fn, unsigned rounds)
{
    struct ouro_scope scope;

    rounds /= tasks;
    expect(ouro_scope_enter(&scope, 0) == 0);
    for (unsigned i = 0; i < tasks; i++)
        expect(ouro_spawn(&scope, fn, &rounds, sizeof rounds) == 0);
    expect(ouro_scope_leave(&scope) == 0);
}

void yield(unsigned rounds)
{
    in_parallel(2, yield_on, rounds);
}

void sleeps(unsigned rounds)
{
    in_parallel(16, sleep_on, rounds);
}

void timers(unsigned rounds)
{
    OURO_TIMER(timer);

    for (unsigned i = 0; i < rounds; i++) {
        expect(ouro_sleep_start(&timer, 10 * OURO_NSEC_PER_SEC) == 0);
        ouro_timer_cancel(&timer);
    }
}

void file_copy(unsigned rounds)
{
    static char buf[4096];
    ouro_file from, to;

    expect(ouro_open(&from, FAKE_MEMORY "from", O_RDWR | O_CREAT, 0600) == 0);
    expect(ouro_open(&to, FAKE_MEMORY "to", O_RDWR | O_CREAT, 0600) == 0);
    expect(ouro_write(from, buf, sizeof buf, 0) == sizeof buf);
    for (unsigned i = 0; i < rounds; i++) {
        expect(ouro_read(from, buf, sizeof buf, 0) == sizeof buf);
        expect(ouro_write(to, buf, sizeof buf, 0) == sizeof buf);
    }
    expect(ouro_file_close(from) == 0);
    expect(ouro_file_close(to) == 0);
}
