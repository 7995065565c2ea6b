/* SPDX-License-Identifier: MIT */
#include "support/late_kernel.h"
#include "support/net_support.h"

#include <liburing.h>

#define HELD_MOST 4096

struct held {
    uint64_t due;
    struct io_uring_cqe cqe; /* the last: it may go on behind itself */
};

static struct late_options plan;
static const struct kernel *below;
static struct io_uring_params params;
static char *copy, *real;           /* the memory of the rings: the library's, and the kernel's */
static struct held held[HELD_MOST]; /* in the order of their arrival */
static unsigned held_n, disturbed;
static uint64_t turn;

static unsigned *at(char *ring, uint32_t offset)
{
    return (unsigned *)(void *)(ring + offset);
}

static unsigned load(char *ring, uint32_t offset)
{
    return __atomic_load_n(at(ring, offset), __ATOMIC_ACQUIRE);
}

static void store(char *ring, uint32_t offset, unsigned value)
{
    __atomic_store_n(at(ring, offset), value, __ATOMIC_RELEASE);
}

static struct io_uring_cqe *cqe_at(char *ring, unsigned i)
{
    struct io_uring_cqe *cqes = (void *)(ring + params.cq_off.cqes);

    return &cqes[i & (params.cq_entries - 1)];
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int late_setup(unsigned entries, struct io_uring_params *p)
{
    int fd = below->setup(entries, p);

    if (fd >= 0)
        params = *p;
    return fd;
}

static void *late_map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    char *p = below->map(bytes, ring_fd, offset, error);

    if (p == NULL || offset == IORING_OFF_SQES)
        return p;
    must(copy == NULL);
    real = p;
    copy = malloc(bytes);
    must(copy != NULL);
    memcpy(copy, real, bytes);
    return copy;
}

static int late_unmap(void *addr, size_t bytes)
{
    if (addr != copy)
        return below->unmap(addr, bytes);
    free(copy);
    copy = NULL;
    return below->unmap(real, bytes);
}

static int late_close(int ring_fd)
{
    held_n = 0;
    return below->close(ring_fd);
}

static int late_control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    return below->control(ring_fd, opcode, arg, n);
}

/* --- holding back ----------------------------------------------------------------------------- */

/* What a ring is tried out with at its start (no user data) comes at once. */
static void hold(const struct io_uring_cqe *cqe)
{
    uint64_t due = turn;

    if (cqe->user_data != 0 && plan.turns != 0)
        due += random_next(&plan.seed) % (plan.turns + 1);
    disturbed += due != turn;
    for (unsigned i = 0; i < held_n; i++)
        if (held[i].cqe.user_data == cqe->user_data && held[i].due > due)
            due = held[i].due;
    must(held_n < HELD_MOST);
    held[held_n++] = (struct held){due, *cqe};
}

static void take_from_below(void)
{
    unsigned head = load(real, params.cq_off.head), tail = load(real, params.cq_off.tail);

    for (; head != tail; head++)
        hold(cqe_at(real, head));
    store(real, params.cq_off.head, head);
}

/* The first that is due, or any of those; never one before an older one of the same operation. */
static unsigned choose(void)
{
    unsigned due[HELD_MOST], n = 0, i;

    for (i = 0; i < held_n; i++)
        if (held[i].due <= turn)
            due[n++] = i;
    if (n == 0)
        return held_n;
    i = due[plan.shuffled ? random_next(&plan.seed) % n : 0];
    for (unsigned k = 0; k < i; k++)
        if (held[k].cqe.user_data == held[i].cqe.user_data)
            i = k;
    disturbed += i != due[0];
    return i;
}

static void give(void)
{
    unsigned tail = load(copy, params.cq_off.tail), i;

    while (tail - load(copy, params.cq_off.head) < params.cq_entries && (i = choose()) != held_n) {
        *cqe_at(copy, tail++) = held[i].cqe;
        memmove(&held[i], &held[i + 1], (--held_n - i) * sizeof *held);
    }
    store(copy, params.cq_off.tail, tail);
}

static bool nothing_given(void)
{
    return load(copy, params.cq_off.tail) == load(copy, params.cq_off.head);
}

static void pass_queue(void)
{
    if ((params.flags & IORING_SETUP_NO_SQARRAY) == 0)
        memcpy(real + params.sq_off.array, copy + params.sq_off.array,
               params.sq_entries * sizeof(unsigned));
    store(real, params.sq_off.tail, load(copy, params.sq_off.tail));
}

static int late_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                      const void *arg, size_t arg_bytes)
{
    int n;

    if (copy == NULL)
        return below->enter(ring_fd, to_submit, min_complete, flags, arg, arg_bytes);
    pass_queue();
    n = below->enter(ring_fd, to_submit, held_n != 0 ? 0 : min_complete, flags, arg, arg_bytes);
    take_from_below();
    do {
        turn++;
        give();
    } while (min_complete != 0 && held_n != 0 && nothing_given());
    store(copy, params.sq_off.head, load(real, params.sq_off.head));
    /* There may be something at any time: the library looks each turn. */
    store(copy, params.sq_off.flags, load(real, params.sq_off.flags) | IORING_SQ_TASKRUN);
    return n == -ETIME && !nothing_given() ? 0 : n;
}

const struct kernel kernel_late = {.setup = late_setup,
                                   .enter = late_enter,
                                   .control = late_control,
                                   .map = late_map,
                                   .unmap = late_unmap,
                                   .close = late_close};

void late_begin(const struct kernel *under, const struct late_options *o)
{
    below = under;
    plan = *o;
    turn = disturbed = held_n = 0;
}

unsigned late_end(void)
{
    must(copy == NULL);
    return disturbed;
}
