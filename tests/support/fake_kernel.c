/* SPDX-License-Identifier: MIT */
#include "support/fake_kernel.h"
#include "support/fake_inside.h"

#include <sys/mman.h>

#define RING_FD 0x0fa4e /* never a descriptor: RLIMIT_NOFILE may allow it, nobody gets there */
#define GROUPS  16
#define SQ_MOST 32768u
#define FEATURES                                                                                   \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |                    \
     IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

bool (*fake_pass_time)(uint64_t ns);

/* The head of the ring's memory. */
struct shared {
    unsigned sq_head, sq_tail, sq_flags, sq_dropped;
    unsigned cq_head, cq_tail, cq_flags, cq_overflow;
    unsigned array[];
};

struct overflow {
    struct overflow *next;
    struct io_uring_cqe cqe;
};

static struct {
    bool open;
    struct io_uring_params params;
    struct shared *shared;
    struct io_uring_sqe *sqes;
    struct overflow *overflow, **overflow_tail;
    struct {
        struct io_uring_buf_ring *ring;
        unsigned entries;
        uint16_t head;
    } groups[GROUPS];
} ring;

static unsigned mappings;

static unsigned power_of_two(unsigned n)
{
    unsigned p = 1;

    while (p < n)
        p *= 2;
    return p;
}

static int fake_setup(unsigned entries, struct io_uring_params *p)
{
    unsigned sq = power_of_two(entries < SQ_MOST ? entries : SQ_MOST);
    unsigned cq = power_of_two((p->flags & IORING_SETUP_CQSIZE) != 0 ? p->cq_entries : 2 * sq);

    if (ring.open)
        return -EMFILE; /* there is but one */
    memset(&ring, 0, sizeof ring);
    ring.open = true;
    ring.overflow_tail = &ring.overflow;
    p->sq_entries = sq;
    p->cq_entries = cq;
    p->features = FEATURES;
    p->sq_off = (struct io_sqring_offsets){.head = offsetof(struct shared, sq_head),
                                           .tail = offsetof(struct shared, sq_tail),
                                           .flags = offsetof(struct shared, sq_flags),
                                           .dropped = offsetof(struct shared, sq_dropped),
                                           .array = offsetof(struct shared, array)};
    p->cq_off = (struct io_cqring_offsets){
        .head = offsetof(struct shared, cq_head),
        .tail = offsetof(struct shared, cq_tail),
        .flags = offsetof(struct shared, cq_flags),
        .overflow = offsetof(struct shared, cq_overflow),
        .cqes = (unsigned)(offsetof(struct shared, array) + sq * sizeof(unsigned) + 15) & ~15u};
    ring.params = *p;
    return RING_FD;
}

static void *fake_map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    fake_ensure(ring.open && ring_fd == RING_FD);
    *error = p == MAP_FAILED ? -errno : 0;
    if (p == MAP_FAILED)
        return NULL;
    mappings++;
    if (offset == IORING_OFF_SQES)
        ring.sqes = p;
    else
        ring.shared = p;
    return p;
}

static int fake_unmap(void *addr, size_t bytes)
{
    mappings--;
    return munmap(addr, bytes) != 0 ? -errno : 0;
}

static int fake_close(int ring_fd)
{
    fake_ensure(ring.open && ring_fd == RING_FD);
    fake_requests_drop();
    fake_table_drop();
    while (ring.overflow != NULL) {
        struct overflow *o = ring.overflow;

        ring.overflow = o->next;
        free(o);
    }
    ring.open = false;
    return 0;
}

/* --- completions ------------------------------------------------------------------------------ */

static bool put_cqe(const struct io_uring_cqe *cqe)
{
    struct io_uring_cqe *cqes = (void *)((char *)ring.shared + ring.params.cq_off.cqes);
    unsigned tail = ring.shared->cq_tail;

    if (tail - __atomic_load_n(&ring.shared->cq_head, __ATOMIC_ACQUIRE) == ring.params.cq_entries)
        return false;
    cqes[tail & (ring.params.cq_entries - 1)] = *cqe;
    __atomic_store_n(&ring.shared->cq_tail, tail + 1, __ATOMIC_RELEASE);
    return true;
}

void fake_post(uint64_t user_data, int result, unsigned flags)
{
    struct io_uring_cqe cqe = {.user_data = user_data, .res = result, .flags = flags};
    struct overflow *o;

    if (ring.overflow == NULL && put_cqe(&cqe))
        return;
    o = malloc(sizeof *o);
    fake_ensure(o != NULL);
    o->next = NULL;
    o->cqe = cqe;
    *ring.overflow_tail = o;
    ring.overflow_tail = &o->next;
}

static void flush_overflow(void)
{
    while (ring.overflow != NULL && put_cqe(&ring.overflow->cqe)) {
        struct overflow *o = ring.overflow;

        ring.overflow = o->next;
        free(o);
    }
    if (ring.overflow == NULL)
        ring.overflow_tail = &ring.overflow;
}

static unsigned ready(void)
{
    return ring.shared->cq_tail - __atomic_load_n(&ring.shared->cq_head, __ATOMIC_ACQUIRE);
}

/* What is real completes without a call: the library has to come and look. */
static void set_flags(void)
{
    unsigned flags = 0;

    if (ring.overflow != NULL)
        flags |= IORING_SQ_CQ_OVERFLOW;
    if (fake_pending != NULL && fake_table_has_real())
        flags |= IORING_SQ_TASKRUN;
    __atomic_store_n(&ring.shared->sq_flags, flags, __ATOMIC_RELEASE);
}

/* --- the call --------------------------------------------------------------------------------- */

static unsigned take_queue(unsigned to_submit)
{
    unsigned head = ring.shared->sq_head, n = 0;
    unsigned tail = __atomic_load_n(&ring.shared->sq_tail, __ATOMIC_ACQUIRE);

    for (; n < to_submit && head != tail; n++)
        fake_request_take(&ring.sqes[head++ & (ring.params.sq_entries - 1)]);
    __atomic_store_n(&ring.shared->sq_head, head, __ATOMIC_RELEASE);
    return n;
}

static uint64_t time_limit(unsigned flags, const void *arg)
{
    const struct io_uring_getevents_arg *a = arg;
    const struct __kernel_timespec *ts;

    if ((flags & IORING_ENTER_EXT_ARG) == 0 || a->ts == 0)
        return UINT64_MAX;
    ts = (const void *)(uintptr_t)a->ts;
    return (uint64_t)ts->tv_sec * 1000000000 + (uint64_t)ts->tv_nsec;
}

static int fake_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                      const void *arg, size_t arg_bytes)
{
    unsigned n;
    int error = 0;

    (void)arg_bytes;
    fake_ensure(ring.open && ring_fd == RING_FD);
    if (ring.shared == NULL) /* asked before the mapping: nothing can be in it */
        return 0;
    n = take_queue(to_submit);
    flush_overflow();
    fake_requests_go_on();
    while (error == 0 && ready() < min_complete) {
        error = fake_wait(time_limit(flags, arg));
        fake_requests_go_on();
    }
    flush_overflow();
    set_flags();
    return n != 0 ? (int)n : ready() != 0 ? 0 : error;
}

/* --- registering ------------------------------------------------------------------------------ */

static int probe(struct io_uring_probe *p, unsigned n)
{
    p->last_op = IORING_OP_LAST - 1;
    p->ops_len = (uint8_t)(n < IORING_OP_LAST ? n : IORING_OP_LAST);
    for (unsigned i = 0; i < p->ops_len; i++) {
        p->ops[i].op = (uint8_t)i;
        p->ops[i].flags = fake_request_supported(i) ? IO_URING_OP_SUPPORTED : 0;
    }
    return 0;
}

static int files_update(const struct io_uring_rsrc_update *u, unsigned n)
{
    const int *fds = (const int *)(uintptr_t)u->data;

    for (unsigned i = 0; i < n; i++)
        if (fake_table_set(u->offset + i, fake_real(dup(fds[i]), true)) != 0)
            return -EINVAL;
    return (int)n;
}

static int register_group(const struct io_uring_buf_reg *reg)
{
    if (reg->bgid >= GROUPS || reg->flags != 0)
        return -EINVAL;
    if (ring.groups[reg->bgid].ring != NULL)
        return -EEXIST;
    ring.groups[reg->bgid].ring = (void *)(uintptr_t)reg->ring_addr;
    ring.groups[reg->bgid].entries = reg->ring_entries;
    ring.groups[reg->bgid].head = 0;
    return 0;
}

static int fake_control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    fake_ensure(ring.open && ring_fd == RING_FD);
    switch (opcode) {
    case IORING_REGISTER_PROBE:
        return probe((struct io_uring_probe *)(uintptr_t)arg, n);
    case IORING_REGISTER_FILES2:
        return fake_table_make(((const struct io_uring_rsrc_register *)arg)->nr);
    case IORING_UNREGISTER_FILES:
        fake_table_drop();
        return 0;
    case IORING_REGISTER_FILES_UPDATE:
        return files_update(arg, n);
    case IORING_REGISTER_PBUF_RING:
        return register_group(arg);
    case IORING_UNREGISTER_PBUF_RING:
        ring.groups[((const struct io_uring_buf_reg *)arg)->bgid].ring = NULL;
        return 0;
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
        return 0;
    default:
        return -EINVAL;
    }
}

const struct io_uring_buf *fake_buffer(unsigned group)
{
    struct io_uring_buf_ring *br = group < GROUPS ? ring.groups[group].ring : NULL;
    uint16_t head;

    if (br == NULL)
        return NULL;
    head = ring.groups[group].head;
    if (__atomic_load_n(&br->tail, __ATOMIC_ACQUIRE) == head)
        return NULL;
    return &br->bufs[head & (ring.groups[group].entries - 1)];
}

void fake_buffer_used(unsigned group)
{
    ring.groups[group].head++;
}

unsigned fake_leftovers(void)
{
    fake_arrays_forget();
    return fake_files_alive + mappings + ring.open;
}

const struct kernel kernel_fake = {.setup = fake_setup,
                                   .enter = fake_enter,
                                   .control = fake_control,
                                   .map = fake_map,
                                   .unmap = fake_unmap,
                                   .close = fake_close};
