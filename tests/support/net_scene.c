/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#include "shard/shard.h"

#include <signal.h>

const struct scene scenes[] = {
    {.name = "start", .main = scene_start, .forms = 1},
    {.name = "echo", .main = scene_echo, .forms = ECHO_FORMS},
    {.name = "send all", .main = scene_send_all, .forms = 2},
    {.name = "zero copy", .main = scene_zero_copy, .forms = 2},
    {.name = "connect", .main = scene_connections, .forms = 2},
    {.name = "accept", .main = scene_accept, .forms = 2},
    {.name = "starved", .main = scene_starved, .forms = 2},
    {.name = "file", .main = scene_file, .forms = 1},
    {.name = "timers", .main = scene_timers, .forms = 1},
    {.name = "ask", .main = scene_ask, .forms = 2, .asks_names = true},
    {.name = "cancel", .main = scene_cancel, .forms = 2},
    {.name = "cancel all", .main = scene_cancel_all, .forms = ECHO_FORMS},
    {.name = "stop", .main = scene_stop, .forms = 2, .leaves_tasks = true},
};
const unsigned scenes_n = sizeof scenes / sizeof scenes[0];

static const struct scene *current;
static struct fault current_fault;

static void out_of_time(int number)
{
    char text[160];
    int n = snprintf(text, sizeof text, "HANGS: %s, fault %d with %d at %u\n", current->name,
                     current_fault.where, current_fault.error, current_fault.at);

    (void)number;
    if (write(STDERR_FILENO, text, (size_t)n) == n)
        abort();
    abort();
}

struct running {
    const struct scene *scene;
    struct scene_call call;
};

/* Spare buffers that nobody gave back. */
static unsigned spares_out(const struct pool *p)
{
    unsigned n = p->spare_fresh;

    for (uint32_t id = p->spare_free; id != POOL_NONE; id = p->buffer[id].next)
        n--;
    return n;
}

static int run_scene(void *arg)
{
    struct running *r = arg;
    int value = r->scene->main(&r->call);
    char text[256];

    if (!r->scene->leaves_tasks) {
        leftovers(text, sizeof text);
        if (text[0] != '\0')
            must_fail(__FILE__, __LINE__, text);
        until(pools_whole());
        must_be(spares_out(&shard_self->pools[0]), 0);
    }
    return value;
}

static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    must(f != NULL);
    must_be(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* After the first run all that stays mapped for good is: what a run leaves adds up. */
static void check_mappings(void)
{
    static size_t first;
    size_t now = mapped_bytes();

    if (first == 0)
        first = now;
    must(slow_build() || now <= first + (4u << 20));
}

unsigned scene_once(const struct scene *scene, const struct fault *fault, enum echo_form form)
{
    struct running r = {scene, {fault, form, form == ECHO_MULTISHOT ? UNIX : V4, fault->at}};
    struct ouro_options o = small_options(1);
    unsigned descriptors = open_descriptors(), n;
    int value = -1, error;

    o.quiet = true;
    o.descriptors = 64;
    o.buffers = o.buffers_max = SCENE_BUFFERS;
    o.large_buffers = o.large_buffers_max = SCENE_BUFFERS;
    current = scene;
    current_fault = *fault;
    signal(SIGALRM, out_of_time);
    alarm(30);
    faulty_begin(fault);
    error = ouro_run(&o, run_scene, &r, &value);
    n = faulty_end();
    alarm(0);
    must(error == 0 ? value == 0 : error == fault->error && ouro_start_error()[0] != '\0');
    must(error == 0 || fault->where <= FAULT_REGISTER);
    must_be(open_descriptors(), descriptors);
    check_mappings();
    return n;
}

struct sweep scene_sweep(const struct scene *scene, struct fault fault, unsigned seeds)
{
    bool by_chance = fault.where == FAULT_LATE || fault.where == FAULT_SHUFFLED;
    struct sweep sum = {0};

    for (enum echo_form form = 0; form < scene->forms; form++)
        for (fault.at = 1; !by_chance || fault.at <= seeds; fault.at++) {
            unsigned n = scene_once(scene, &fault, form);

            sum.runs++;
            sum.injected += n;
            if (n == 0 && !by_chance)
                break;
            must(fault.at < 5000);
        }
    return sum;
}
