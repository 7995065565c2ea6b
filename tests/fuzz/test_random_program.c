/* SPDX-License-Identifier: MIT */
/* Runs random programs (program.h), one after the other, until the time is up.
 *
 *   OURO_SEED          the first one's seed; the others have the numbers after it. Default: the
 * time OURO_FUZZ_SECONDS  for how long. Default 10; 0: one program OURO_FUZZ_SHARDS   1 to 3.
 * Default: each program's own choice
 *
 * A failure names the seed, and OURO_SEED=<it> runs that program first: with the same decisions of
 * every actor, though the kernel may let them meet in another order. From a minute on the memory of
 * the process must not grow either. */
#include "program.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* Descriptors become the ring's and are closed by it, where ThreadSanitizer does not look: it takes
 * the next one of the same number for the former. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
#define BY_NAME(f) "race:^" f "$\nrace:^__interceptor_" f "$\n"
    return BY_NAME("socket") BY_NAME("pipe2") BY_NAME("eventfd") BY_NAME("open") BY_NAME("fopen")
        BY_NAME("opendir") BY_NAME("fclose") BY_NAME("close");
}

/* Looking into those takes a helper with two descriptors: from the beginning, not in mid-run. */
void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t bytes)
    __attribute__((weak));

static void first_symbol(void)
{
    char text[64];

    if (__sanitizer_symbolize_pc != NULL)
        __sanitizer_symbolize_pc(__builtin_return_address(0), "%f", text, sizeof text);
}

/* --- telling the seed ------------------------------------------------------------------------- */

static char seed_line[128];

static void tell_seed(int number)
{
    (void)!write(STDERR_FILENO, seed_line, strlen(seed_line));
    signal(number, SIG_DFL);
    raise(number);
}

static void tell_actors(void)
{
    for (unsigned s = 0; s < program.shards; s++) {
        fprintf(stderr, "shard %u: %u tasks serve\n", s, program.world[s].echoes);
        for (struct actor *a = program.world[s].actors; a != NULL; a = a->next)
            fprintf(stderr, "shard %u: an actor is at '%s', %u steps before its end\n", s,
                    load_relaxed(&a->doing), a->steps);
    }
}

static void *watch(void *arg)
{
    unsigned still = 0, most = slow_build() ? 600 : 200;
    uint64_t seen = 0, now;

    for (;;) {
        usleep(100000);
        now = load_relaxed(&program.steps);
        still = now == seen ? still + 1 : 0;
        seen = now;
        if (still == most) {
            fprintf(stderr, "nothing has happened for %u s\n", still / 10);
            tell_actors();
            abort();
        }
    }
    return arg;
}

/* --- one program ------------------------------------------------------------------------------ */

struct plan {
    unsigned actors, steps;
};

static int shard_begin(void *arg)
{
    (void)arg;
    echo_open();
    return 0;
}

static int shard_live(void *arg)
{
    const struct plan *plan = arg;

    actors_run(program.seed * 7919 + (unsigned)ouro_current_shard(), plan->actors, plan->steps);
    return 0;
}

static int shard_end(void *arg)
{
    (void)arg;
    links_close();
    files_close();
    echo_close();
    must(pools_whole());
    return 0;
}

static int program_main(void *arg)
{
    must_be(ouro_on_each_shard(shard_begin, NULL, "begin", NULL), 0);
    must_be(ouro_on_each_shard(shard_live, arg, "live", NULL), 0);
    must_be(ouro_on_each_shard(shard_end, NULL, "end", NULL), 0);
    return 0;
}

/* One shard, which is all that the injector knows. */
static struct fault some_fault(struct actor *a)
{
    static const enum fault_where where[] = {FAULT_SHORT, FAULT_LATE,       FAULT_SHUFFLED,
                                             FAULT_ENTER, FAULT_ENTER_PART, FAULT_OPERATION};
    static const int of_calls[] = {-EINTR, -EAGAIN, -EBUSY};
    static const int of_operations[] = {-EINTR, -ENOMEM, -ENOBUFS};
    struct fault f = {.where = where[below(a, array_size(where))]};
    unsigned error = below(a, 3);

    f.error = f.where == FAULT_OPERATION ? of_operations[error] : of_calls[error];
    f.at = f.where == FAULT_SHORT || f.where == FAULT_ENTER_PART ? 0 : 1 + below(a, 400);
    return f;
}

static unsigned run_program(uint64_t seed)
{
    struct actor chooser = {.random = seed ^ UINT64_C(0x6f75726f)};
    struct ouro_options o = small_options(1 + below(&chooser, SHARDS));
    struct plan plan = {2 + below(&chooser, 14), 10 + below(&chooser, 60)};
    unsigned injected = 0;

    memset(program.world, 0, sizeof program.world);
    program.seed = seed;
    o.shards = (unsigned)number_from("OURO_FUZZ_SHARDS", o.shards);
    must(o.shards >= 1 && o.shards <= SHARDS);
    o.sq_entries = 8u << below(&chooser, 4);
    o.buffers = 16u << below(&chooser, 3);
    program.shards = o.shards;
    program.fault = (struct fault){0};
    if (o.shards == 1 && one_in(&chooser, 2))
        program.fault = some_fault(&chooser);
    snprintf(seed_line, sizeof seed_line, "\nOURO_SEED=%llu (fault %d) failed\n",
             (unsigned long long)seed, program.fault.where);
    snprintf(program.directory, sizeof program.directory, "%s", temp_path("program"));
    must_be(mkdir(program.directory, 0700), 0);
    if (program.fault.where != FAULT_NONE)
        faulty_begin(&program.fault);
    must_be(run_with(&o, program_main, &plan), 0);
    if (program.fault.where != FAULT_NONE)
        injected = faulty_end();
    must_be(rmdir(program.directory), 0);
    return injected;
}

/* --- memory ----------------------------------------------------------------------------------- */

static long memory_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    must(f != NULL && fscanf(f, "%*s %ld", &pages) == 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The most in the second quarter of the time, when everything has been used once, and in the last.
 */
struct memory {
    long second, last;
};

static void memory_look(struct memory *m, uint64_t passed, uint64_t all)
{
    long now = memory_kib();

    if (passed * 4 >= all && passed * 2 < all)
        m->second = now > m->second ? now : m->second;
    if (passed * 4 >= all * 3)
        m->last = now > m->last ? now : m->last;
}

static void memory_check(const struct memory *m)
{
    printf("memory: %ld KiB in the second quarter, %ld KiB in the last\n", m->second, m->last);
    must(m->last <= m->second + m->second / 8 + 8192);
}

int main(void)
{
    uint64_t seconds = number_from("OURO_FUZZ_SECONDS", 10), all = seconds * SEC;
    uint64_t seed = number_from("OURO_SEED", (uint64_t)time(NULL) * 1000);
    uint64_t began = ouro_now_precise_ns(), passed = 0;
    unsigned programs = 0, injected = 0;
    struct memory memory = {0};
    pthread_t watchdog;

    printf("OURO_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    first_symbol();
    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    must_be(pthread_create(&watchdog, NULL, watch, NULL), 0);
    do {
        injected += run_program(seed + programs++);
        passed = ouro_now_precise_ns() - began;
        memory_look(&memory, passed, all);
    } while (passed < all);
    printf("%u programs, %llu steps, %llu bytes checked, %llu actors cancelled, %u faults\n",
           programs, (unsigned long long)load_relaxed(&program.steps),
           (unsigned long long)load_relaxed(&program.bytes),
           (unsigned long long)load_relaxed(&program.cancels), injected);
    must(load_relaxed(&program.steps) > 0);
    if (seconds >= 60)
        memory_check(&memory);
    return 0;
}
