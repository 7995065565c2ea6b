/* SPDX-License-Identifier: MIT */
/* Options of the runtime: defaults, bounds, what one field says about another, and the CPUs of
 * shards. Each refusal names the field and the value. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "base/check.h"
#include "options.h"
#include "topo/topo.h"

static char why[320];
static struct ouro_options taken;

static int take(const struct ouro_options *o)
{
    memset(why, 0, sizeof why);
    return options_take(&taken, o, why, sizeof why);
}

#define FRESH                                                                                      \
    (struct ouro_options)                                                                          \
    {                                                                                              \
        .size = sizeof(struct ouro_options)                                                        \
    }

/* The message names the field and the value that was given. */
static void assert_names(const char *field, unsigned long long value)
{
    char number[32];

    snprintf(number, sizeof number, "%llu", value);
    if (strstr(why, field) == NULL || strstr(why, number) == NULL)
        fail_msg("'%s' names not both options.%s and %s", why, field, number);
}

#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        struct ouro_options refused_options = FRESH;                                               \
                                                                                                   \
        refused_options.field = (value);                                                           \
        assert_int_equal(take(&refused_options), -EINVAL);                                         \
        assert_names("options." #field, (unsigned long long)refused_options.field);                \
    } while (0)

/* The result after rounding. */
#define TAKEN(field, value, result)                                                                \
    do {                                                                                           \
        struct ouro_options taken_options = FRESH;                                                 \
                                                                                                   \
        taken_options.field = (value);                                                             \
        assert_int_equal(take(&taken_options), 0);                                                 \
        assert_true(taken.field == (result));                                                      \
    } while (0)

static void bounds(void **state)
{
    (void)state;
    REFUSED(run_budget_ns, 9999);
    TAKEN(run_budget_ns, 10000, 10000);
    TAKEN(run_budget_ns, OURO_NSEC_PER_SEC, OURO_NSEC_PER_SEC);
    REFUSED(run_budget_ns, OURO_NSEC_PER_SEC + 1);
    TAKEN(spin_ns, 1, 1);
    TAKEN(spin_ns, OURO_NSEC_PER_MSEC, OURO_NSEC_PER_MSEC);
    REFUSED(spin_ns, OURO_NSEC_PER_MSEC + 1);
    REFUSED(spin_ns, UINT64_MAX);
    TAKEN(drain_deadline_ns, 1, 1);
    TAKEN(drain_deadline_ns, 3600 * OURO_NSEC_PER_SEC, 3600 * OURO_NSEC_PER_SEC);
    REFUSED(drain_deadline_ns, 3600 * OURO_NSEC_PER_SEC + 1);
    REFUSED(sq_entries, 7);
    TAKEN(sq_entries, 8, 8);
    TAKEN(sq_entries, 9, 16);
    TAKEN(sq_entries, 32768, 32768);
    REFUSED(sq_entries, 32769);
    REFUSED(cq_entries, 65537);
    TAKEN(cq_entries, 65536, 65536);
    TAKEN(cq_entries, 1025, 2048);
    REFUSED(descriptors, 15);
    TAKEN(descriptors, 16, 16);
    TAKEN(descriptors, 1048576, 1048576);
    REFUSED(descriptors, 1048577);
    REFUSED(buffer_bytes, 255);
    TAKEN(buffer_bytes, 256, 256);
    TAKEN(buffer_bytes, 257, 512);
    REFUSED(buffer_bytes, 65537);
    REFUSED(buffers, 15);
    TAKEN(buffers, 16, 16);
    REFUSED(buffers, 16385);
    TAKEN(buffers_max, 32768, 32768);
    REFUSED(buffers_max, 32769);
    TAKEN(large_buffer_bytes, 1048576, 1048576);
    REFUSED(large_buffer_bytes, 1048577);
    REFUSED(large_buffers, 15);
    REFUSED(large_buffers_max, 32769);
    REFUSED(stack_bytes, 16383);
    TAKEN(stack_bytes, 16384, 16384);
    REFUSED(stack_bytes, (64 << 20) + 1);
    TAKEN(large_stack_bytes, 64 << 20, 64 << 20);
    REFUSED(large_stack_bytes, (64 << 20) + 1);
    TAKEN(max_fibers, 1, 1);
    REFUSED(max_fibers, UINT32_MAX);
    TAKEN(iowq_bounded, 1, 1);
    TAKEN(iowq_bounded, 1024, 1024);
    REFUSED(iowq_bounded, 1025);
    TAKEN(iowq_unbounded, 1024, 1024);
    REFUSED(iowq_unbounded, 1025);
    TAKEN(shards, OURO_MAX_SHARDS, OURO_MAX_SHARDS);
    REFUSED(shards, OURO_MAX_SHARDS + 1);
    REFUSED(shards, UINT32_MAX);
}

/* One field against another: both are named. */
static void pairs(void **state)
{
    struct ouro_options o = FRESH;

    (void)state;
    o.sq_entries = 1024, o.cq_entries = 512;
    assert_int_equal(take(&o), -EINVAL);
    assert_names("options.sq_entries", 1024);
    assert_names("options.cq_entries", 512);
    o = FRESH, o.buffers = 64, o.buffers_max = 32;
    assert_int_equal(take(&o), -EINVAL);
    assert_names("options.buffers", 64);
    assert_names("options.buffers_max", 32);
    o = FRESH, o.large_buffers = 64, o.large_buffers_max = 32;
    assert_int_equal(take(&o), -EINVAL);
    assert_names("options.large_buffers_max", 32);
    o = FRESH, o.buffer_bytes = 4096, o.large_buffer_bytes = 2048;
    assert_int_equal(take(&o), -EINVAL);
    assert_names("options.large_buffer_bytes", 2048);
    o = FRESH, o.stack_bytes = 131072, o.large_stack_bytes = 65536;
    assert_int_equal(take(&o), -EINVAL);
    assert_names("options.large_stack_bytes", 65536);
}

static void defaults(void **state)
{
    struct ouro_options o = FRESH;

    (void)state;
    for (int given = 0; given < 2; given++) {
        assert_int_equal(take(given ? &o : NULL), 0);
        assert_int_equal(taken.size, sizeof taken);
        assert_int_equal(taken.run_budget_ns, 500000);
        assert_int_equal(taken.spin_ns, 0);
        assert_int_equal(taken.drain_deadline_ns, 10 * OURO_NSEC_PER_SEC);
        assert_int_equal(taken.sq_entries, 1024);
        assert_int_equal(taken.cq_entries, 8192);
        assert_in_range(taken.descriptors, 16, 16384);
        assert_int_equal(taken.buffer_bytes, 2048);
        assert_int_equal(taken.buffers, 256);
        assert_int_equal(taken.buffers_max, 4096);
        assert_int_equal(taken.large_buffer_bytes, 16384);
        assert_int_equal(taken.large_buffers, 64);
        assert_int_equal(taken.large_buffers_max, 1024);
        assert_int_equal(taken.stack_bytes, 65536);
        assert_int_equal(taken.large_stack_bytes, 1048576);
        assert_int_equal(taken.max_fibers, 1048576);
        assert_int_equal(taken.iowq_bounded, 4);
        assert_int_equal(taken.iowq_unbounded, 4);
        assert_string_equal(taken.thread_prefix, "ouro");
        assert_true(taken.cpus == NULL && taken.shards == 0);
    }
    TAKEN(sq_entries, 16384, 16384); /* 8 times as many would be too many for the CQ */
    assert_int_equal(taken.cq_entries, 65536);
}

static void sizes(void **state)
{
    struct ouro_options o = FRESH;
    const size_t wrong[] = {0, 1, sizeof o - 8, sizeof o + 8, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < array_size(wrong); i++) {
        o.size = wrong[i];
        assert_int_equal(take(&o), -EINVAL);
        assert_names("options.size", wrong[i]);
    }
}

static void names_and_signals(void **state)
{
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct ouro_options o = FRESH;

    (void)state;
    o.thread_prefix = "ten-chars-";
    assert_int_equal(take(&o), 0);
    o.thread_prefix = "eleven-char";
    assert_int_equal(take(&o), -EINVAL);
    assert_non_null(strstr(why, "options.thread_prefix = 'eleven-char'"));
    o.thread_prefix = "";
    assert_int_equal(take(&o), 0);
    for (size_t i = 0; i < array_size(never); i++) {
        o = FRESH;
        o.signals = OURO_SIGNAL_BIT(never[i]);
        assert_int_equal(take(&o), -EINVAL);
        assert_names("options.signals", (unsigned)never[i]);
    }
    o = FRESH;
    o.signals = OURO_SIGNAL_BIT(SIGUSR1) | OURO_SIGNAL_BIT(SIGHUP) | OURO_SIGNAL_BIT(64);
    assert_int_equal(take(&o), 0);
}

/* Not more than there can be. */
static void descriptors_follow_the_limit(void **state)
{
    struct rlimit was, low;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    low = was;
    low.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(take(NULL), 0);
    assert_int_equal(taken.descriptors, was.rlim_max < 16384 ? was.rlim_max : 16384);
    assert_int_equal(take(&(struct ouro_options){.size = sizeof taken, .keep_nofile = true}), 0);
    assert_int_equal(taken.descriptors, 300);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static int place(const char *cpus, unsigned shards, bool oversubscribe, uint16_t *cpu)
{
    struct ouro_options o = FRESH;

    o.cpus = cpus;
    o.shards = shards;
    o.oversubscribe = oversubscribe;
    assert_int_equal(take(&o), 0);
    return options_place(&taken, cpu, why, sizeof why);
}

static void places(void **state)
{
    static uint16_t cpu[OURO_MAX_SHARDS];
    char text[64];
    cpu_set_t set;
    int allowed, quota, first = 0, n;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    allowed = CPU_COUNT(&set);
    while (!CPU_ISSET(first, &set))
        first++;
    if (allowed > OURO_MAX_SHARDS)
        skip();

    quota = ((int)topo_quota("") + 999) / 1000;
    n = place(NULL, 0, false, cpu);
    assert_int_equal(n, quota != 0 && quota < allowed ? quota : allowed);
    for (int i = 0; i < n; i++)
        assert_true(CPU_ISSET(cpu[i], &set));
    assert_int_equal(place(NULL, 1, false, cpu), 1);
    assert_int_equal(cpu[0], first);
    assert_int_equal(place(NULL, (unsigned)allowed + 1, false, cpu), -EINVAL);
    assert_names("options.shards", (unsigned)allowed + 1);
    assert_non_null(strstr(why, "options.oversubscribe"));
    n = place(NULL, 3 * (unsigned)allowed + 1, true, cpu);
    assert_int_equal(n, 3 * allowed + 1);
    for (int i = allowed; i < n; i++) /* in turns */
        assert_int_equal(cpu[i], cpu[i % allowed]);

    snprintf(text, sizeof text, "%d", first);
    assert_int_equal(place(text, 0, false, cpu), 1);
    assert_int_equal(cpu[0], first);
    assert_int_equal(place(text, 2, false, cpu), -EINVAL);
    assert_int_equal(place(text, 2, true, cpu), 2);
    assert_int_equal(cpu[1], first);
}

static void bad_lists(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "0-",
                                      "1-0",
                                      "0,,1",
                                      "-1",
                                      "0 x",
                                      ",0",
                                      "65535",
                                      "0-70000",
                                      "99999999999999999999"};
    uint16_t cpu[OURO_MAX_SHARDS];

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        why[0] = '\0';
        assert_true(place(bad[i], 0, true, cpu) < 0);
        if (strstr(why, "options.cpus") == NULL)
            fail_msg("'%s': '%s' names not options.cpus", bad[i], why);
    }
    assert_int_equal(place("1023", 0, true, cpu), -EINVAL); /* not one of ours, here or anywhere */
    assert_non_null(strstr(why, "CPU 1023"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),
        cmocka_unit_test(pairs),
        cmocka_unit_test(defaults),
        cmocka_unit_test(sizes),
        cmocka_unit_test(names_and_signals),
        cmocka_unit_test(descriptors_follow_the_limit),
        cmocka_unit_test(places),
        cmocka_unit_test(bad_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
