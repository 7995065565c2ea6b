/* SPDX-License-Identifier: MIT */
/* A process with nothing to do makes no system call, switches no context and uses no CPU. */
#include "support/support.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#define SHARDS 4

struct activity {
    unsigned threads;
    unsigned long long switches, ticks;
};

static unsigned long long number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    must(at != NULL);
    return strtoull(at + strlen(key), NULL, 10);
}

static void read_text(const char *tid, const char *file, char *text, size_t bytes)
{
    char path[64];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%.16s/%s", tid, file);
    f = fopen(path, "r");
    must(f != NULL);
    n = fread(text, 1, bytes - 1, f);
    text[n] = '\0';
    fclose(f);
}

/* Of all threads of the runtime, by their names. */
static struct activity look(void)
{
    struct activity a = {0};
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    char text[4096];

    must(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        read_text(entry->d_name, "status", text, sizeof text);
        if (strncmp(text, "Name:\touro-", 11) != 0)
            continue;
        a.threads++;
        a.switches += number_after(text, "\nvoluntary_ctxt_switches:");
        a.switches += number_after(text, "nonvoluntary_ctxt_switches:");
        read_text(entry->d_name, "schedstat", text, sizeof text);
        a.ticks += strtoull(text, NULL, 10); /* ns on a CPU */
    }
    closedir(dir);
    return a;
}

static pthread_t watcher;
static struct activity before, after;

static void *watch(void *arg)
{
    struct timespec settle = {0, 300000000}, two_seconds = {2, 0};

    (void)arg;
    prctl(PR_SET_NAME, "watcher");
    must_be(nanosleep(&settle, NULL), 0);
    before = look();
    must_be(nanosleep(&two_seconds, NULL), 0); /* what is measured is that nothing happens in it */
    after = look();
    must_be(kill(getpid(), SIGUSR1), 0);
    return NULL;
}

static int sleeps(void *arg)
{
    (void)arg;
    return ouro_sleep(OURO_FOREVER);
}

static struct ouro_counters counters[2][SHARDS];

static int take_counters(void *arg)
{
    return ouro_counters(&counters[*(int *)arg][ouro_current_shard()]);
}

static int idle_main(void *arg)
{
    struct ouro_timer far = {0};
    struct ouro_scope scope;
    int round = 0;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 100; i++)
        must_be(ouro_spawn(&scope, sleeps, NULL, 0), 0);
    must_be(ouro_timer_start(&far, ouro_after_ns(3600 * SEC)), 0);
    must_be(ouro_on_each_shard(take_counters, &round, "before", NULL), 0);
    must_be(pthread_create(&watcher, NULL, watch, NULL), 0);
    must_be(ouro_signal(OURO_SIGNAL_BIT(SIGUSR1)), SIGUSR1);
    must_be(pthread_join(watcher, NULL), 0);
    round = 1;
    must_be(ouro_on_each_shard(take_counters, &round, "after", NULL), 0);
    ouro_timer_cancel(&far);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

static void idle(void **state)
{
    struct ouro_options o = small_options(SHARDS);

    (void)state;
    o.signals = OURO_SIGNAL_BIT(SIGUSR1);
    assert_int_equal(run_with(&o, idle_main, NULL), 0);
    assert_int_equal(before.threads, SHARDS);
    assert_int_equal(after.threads, SHARDS);
    print_message("%d shards idle for 2 s: %llu context switches, %llu ns on a CPU\n", SHARDS,
                  after.switches - before.switches, after.ticks - before.ticks);
    assert_int_equal(after.switches, before.switches);
    assert_int_equal(after.ticks, before.ticks);
    for (int i = 0; i < SHARDS; i++) { /* going to sleep, and the look at the counters */
        uint64_t enters = counters[1][i].enters - counters[0][i].enters;

        assert_in_range(enters, 1, 8);
        assert_in_range(counters[1][i].turns - counters[0][i].turns, 1, 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(idle)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
