/* SPDX-License-Identifier: MIT */
#include "shard/shard.h"
#include "shard/fiber.h"
#include "shard/reap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

__thread struct shard *shard_self __attribute__((tls_model("initial-exec")));

struct instant {
    uint64_t ns, ticks;
};

/* The two clocks read as one: the closest of several pairs, as a thread may be held up between
 * them. */
static struct instant both_clocks(void)
{
    struct instant best = {0};
    uint64_t apart = UINT64_MAX;

    for (int i = 0; i < 4; i++) {
        uint64_t before = clock_ticks(), ns = clock_now_ns(), after = clock_ticks();

        if (after - before < apart) {
            apart = after - before;
            best = (struct instant){ns, before + apart / 2};
        }
    }
    return best;
}

/* Ticks of clock_ticks() in `ns`, measured once per process start of a shard. */
static uint64_t ticks_for(uint64_t ns)
{
    struct instant from = both_clocks(), to;

    do {
        to = both_clocks();
    } while (to.ns - from.ns < 50 * OURO_NSEC_PER_USEC);
    return (uint64_t)((double)(to.ticks - from.ticks) / (double)(to.ns - from.ns) * (double)ns);
}

static int init_pools(struct shard *s)
{
    const struct ouro_options *o = s->options;
    const struct pool_options small = {.bytes = o->buffer_bytes,
                                       .start = o->buffers,
                                       .max = o->buffers_max,
                                       .spares = SPARE_BUFFERS,
                                       .group = 0};
    const struct pool_options large = {.bytes = o->large_buffer_bytes,
                                       .start = o->large_buffers,
                                       .max = o->large_buffers_max,
                                       .group = 1};
    int error = pool_init(&s->pools[0], &s->ring, &small);

    return error != 0 ? error : pool_init(&s->pools[1], &s->ring, &large);
}

static int init_stacks(struct shard *s)
{
    const struct ouro_options *o = s->options;
    struct stack_pool_options p = {.stack_bytes = o->stack_bytes,
                                   .max_stacks = o->max_fibers,
                                   .track_high_water = o->track_stack_use,
                                   .size_option = "options.stack_bytes"};
    int error = stack_pool_init(&s->stacks[0], &p);

    p.stack_bytes = o->large_stack_bytes;
    p.size_option = "options.large_stack_bytes";
    if (error == 0)
        error = stack_pool_init(&s->stacks[1], &p);
    if (error == 0 && o->track_stack_use) {
        s->stack_use = calloc(STACK_NAMES, sizeof *s->stack_use);
        error = s->stack_use == NULL ? -ENOMEM : 0;
    }
    return error;
}

static int init_ring(struct shard *s, char *why, size_t why_bytes)
{
    const struct ouro_options *o = s->options;
    const struct ring_options r = {.sq_entries = o->sq_entries,
                                   .cq_entries = o->cq_entries,
                                   .flags_off = o->ring_flags_off,
                                   .descriptors = o->descriptors,
                                   .iowq_bounded = o->iowq_bounded,
                                   .iowq_unbounded = o->iowq_unbounded,
                                   .restricted = o->restrict_ring};

    return ring_init(&s->ring, &r, why, why_bytes);
}

/* One for each ordinary descriptor that this process may have, so that none comes without a slot.
 */
static uint32_t ordinary_slots(const struct shard *s)
{
    uint32_t n = s->options->descriptors;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > n)
        n = limit.rlim_cur < SLOTS_MOST ? (uint32_t)limit.rlim_cur : SLOTS_MOST;
    return n;
}

/* Where every part that can fail is made, in order; shard_destroy() copes with any prefix. */
static int init_parts(struct shard *s, struct mesh *mesh, char *why, size_t why_bytes)
{
    int error = init_ring(s, why, why_bytes);

    if (error != 0)
        return error;
    snprintf(why, why_bytes, "not enough memory for a shard");
    error = slots_init(&s->slots, s->ring.direct_entries, ordinary_slots(s), s->number);
    if (error == 0)
        error = fibers_init(s);
    if (error == 0)
        error = init_stacks(s);
    if (error == 0)
        error = mesh_end_init(&s->mesh, mesh, s->number);
    if (error == 0)
        mesh->bells[s->number].ring_fd = s->ring.u.ring_fd;
    if (error != 0)
        return error;
    error = init_pools(s);
    if (error == -EINVAL)
        snprintf(why, why_bytes,
                 "the kernel refuses rings of provided buffers; Linux 6.1 or later is needed");
    return error;
}

/* The idle task is never in the run queue: its function only tells it from a fiber. */
static void idle_resume(struct ouro_task *task)
{
    fatal("task '%s' was resumed", task->name);
}

int shard_init(struct shard *s, const struct shard_place *place, char *why, size_t why_bytes)
{
    int error;

    memset(s, 0, sizeof *s);
    s->number = place->number;
    s->options = place->options;
    s->spin_ns = place->options->spin_ns;
    s->fresh = (struct ouro_future){.state = OURO_PENDING, .shard = (uint8_t)s->number};
    s->idle_task = (struct ouro_task){.resume = idle_resume, .name = "idle"};
    s->current = &s->idle_task;
    s->ready_tail = &s->ready;
    s->parked_tail = &s->parked;
    loans_init(&s->loans);
    s->now_ns = clock_now_ns();
    s->slice_ticks = ticks_for(place->options->run_budget_ns);
    wheel_init(&s->wheel, s->now_ns);
    scope_init(&s->root, 0);
    s->root.op.future.shard = (uint8_t)s->number; /* the thread is not a shard yet */
    context_make_thread(&s->context);
    s->exceptions = exceptions_of_thread();
    error = init_parts(s, place->mesh, why, why_bytes);
    if (error != 0) {
        shard_destroy(s);
        return error;
    }
    why[0] = '\0';
    return 0;
}

void shard_destroy(struct shard *s)
{
    bool quiet = shard_quiet(s) && s->root.live == 0;

    if (s->ring.kernel != NULL && s->pools[1].br != NULL && quiet)
        pool_destroy(&s->pools[1], &s->ring);
    if (s->ring.kernel != NULL && s->pools[0].br != NULL && quiet)
        pool_destroy(&s->pools[0], &s->ring);
    ring_destroy(&s->ring);
    mesh_end_destroy(&s->mesh);
    slots_destroy(&s->slots);
    fibers_destroy(s);
    free(s->stack_use);
    s->stack_use = NULL;
    for (size_t i = 0; i < array_size(s->stacks); i++)
        if (!quiet) /* the kernel may still write into stacks and buffers: leaked, not freed */
            stack_pool_leave(&s->stacks[i]);
        else if (s->stacks[i].stack_bytes != 0)
            stack_pool_destroy(&s->stacks[i]);
    if (!quiet)
        leave_behind(s, sizeof *s);
}

bool shard_quiet(const struct shard *s)
{
    return s->idle_task.ops == NULL;
}

void shard_counters(const struct shard *s, struct ouro_counters *out)
{
    *out = s->counters;
    out->enters = s->ring.enters;
    out->submitted = s->ring.submitted;
    out->sq_spills = s->ring.spills;
    out->cq_overflows = s->ring.overflows;
    out->buffers_dry = s->pools[0].dry + s->pools[1].dry;
    out->buffers_grown = s->pools[0].grown + s->pools[1].grown;
    out->messages = s->mesh.received;
    out->lanes_full = s->mesh.lane_full;
    out->posts_refused = load_relaxed(&s->mesh.mesh->inboxes[s->number].refused);
    out->descriptors_refused = s->slots.refused;
    out->wakes_sent = s->mesh.rung;
    out->stacks_unguarded = s->stacks[0].counters.unguarded + s->stacks[1].counters.unguarded;
}

int ouro_counters(struct ouro_counters *out)
{
    if (shard_self == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL)
        return -EINVAL;
    shard_counters(shard_self, out);
    return 0;
}
