/* SPDX-License-Identifier: MIT */
#include "support/net_faulty.h"
#include "support/fake_kernel.h"
#include "support/late_kernel.h"
#include "support/support.h"

#include <sys/socket.h>

static struct fault plan;
static const struct kernel *below;

const struct kernel *faulty_below = &kernel_linux;
static unsigned chances, injected;
static int rings, mappings;

/* The ring as seen from outside. */
static struct io_uring_params params;
static char *ring_memory;
static struct io_uring_sqe *sqes;

/* Operations that were replaced by a NOP, until their completion has been given its result. */
static struct {
    uint64_t user_data;
    int result;
} replaced[64];
static unsigned replaced_n;

static bool strike(enum fault_where where)
{
    if (plan.where != where)
        return false;
    chances++;
    if (plan.at != 0 && chances != plan.at)
        return false;
    injected++;
    return true;
}

static int faulty_setup(unsigned entries, struct io_uring_params *p)
{
    int fd = strike(FAULT_SETUP) ? plan.error : below->setup(entries, p);

    if (fd >= 0) {
        rings++;
        params = *p;
        ring_memory = NULL;
        sqes = NULL;
    }
    return fd;
}

static void *faulty_map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    void *p;

    if (strike(FAULT_MAP)) {
        *error = plan.error;
        return NULL;
    }
    p = below->map(bytes, ring_fd, offset, error);
    if (p == NULL)
        return NULL;
    mappings++;
    if (offset == IORING_OFF_SQES)
        sqes = p;
    else
        ring_memory = p;
    return p;
}

static int faulty_unmap(void *addr, size_t bytes)
{
    mappings--;
    return below->unmap(addr, bytes);
}

static int faulty_close(int ring_fd)
{
    rings--;
    return below->close(ring_fd);
}

static int faulty_control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    if (strike(FAULT_REGISTER))
        return plan.error;
    return below->control(ring_fd, opcode, arg, n);
}

/* --- operations ------------------------------------------------------------------------------- */

/* Files are direct here; an ordinary descriptor is the runtime's own signalfd, which is never
 * short. */
static bool own_read(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_READ && (sqe->flags & IOSQE_FIXED_FILE) == 0;
}

static bool may_fail(const struct io_uring_sqe *sqe)
{
    if (own_read(sqe) || sqe->user_data == 0) /* and what the ring is tried out with at the start */
        return false;
    switch (sqe->opcode) {
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_SEND_ZC:
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG:
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
    case IORING_OP_SOCKET:
    case IORING_OP_OPENAT:
    case IORING_OP_FSYNC:
    case IORING_OP_STATX:
    case IORING_OP_FALLOCATE:
    case IORING_OP_FTRUNCATE:
    case IORING_OP_RENAMEAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_MKDIRAT:
    case IORING_OP_SYMLINKAT:
    case IORING_OP_LINKAT:
    case IORING_OP_SHUTDOWN:
    case IORING_OP_POLL_ADD:
    case IORING_OP_URING_CMD:
    case IORING_OP_FIXED_FD_INSTALL:
        return true;
    default: /* a close that failed would not have been carried out */
        return false;
    }
}

/* A vectored send becomes a plain one of its first part; not one of a datagram. */
static void unvector(struct io_uring_sqe *sqe)
{
    const struct msghdr *m = (const struct msghdr *)(uintptr_t)sqe->addr;

    if (sqe->opcode != IORING_OP_SENDMSG || m->msg_iovlen == 0 || m->msg_iov[0].iov_len < 2 ||
        m->msg_name != NULL)
        return;
    sqe->opcode = IORING_OP_SEND;
    sqe->len = (unsigned)m->msg_iov[0].iov_len;
    sqe->addr = (uintptr_t)m->msg_iov[0].iov_base;
}

static bool may_be_short(const struct io_uring_sqe *sqe)
{
    bool moves = sqe->opcode == IORING_OP_RECV || sqe->opcode == IORING_OP_SEND ||
                 sqe->opcode == IORING_OP_SEND_ZC || sqe->opcode == IORING_OP_READ ||
                 sqe->opcode == IORING_OP_WRITE;

    return moves && !own_read(sqe) && (sqe->flags & IOSQE_BUFFER_SELECT) == 0 && sqe->len > 1;
}

static void replace(struct io_uring_sqe *sqe, int result)
{
    uint64_t user_data = sqe->user_data;

    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = user_data;
    must(replaced_n < sizeof replaced / sizeof replaced[0]);
    replaced[replaced_n].user_data = user_data;
    replaced[replaced_n++].result = result;
}

static void tamper_with(struct io_uring_sqe *sqe)
{
    if (plan.where == FAULT_SHORT || plan.where == FAULT_SHORT_ALL)
        unvector(sqe);
    if (may_fail(sqe) && strike(FAULT_OPERATION))
        replace(sqe, plan.error);
    else if (may_be_short(sqe) && strike(FAULT_SHORT))
        sqe->len /= 2;
    else if (may_be_short(sqe) && sqe->len > 3 && strike(FAULT_SHORT_ALL))
        sqe->len = 1 + sqe->len % 3;
    else if (sqe->opcode == IORING_OP_ASYNC_CANCEL && strike(FAULT_CANCEL_MISSES))
        replace(sqe, -ENOENT);
}

static unsigned load(uint32_t offset)
{
    return __atomic_load_n((unsigned *)(void *)(ring_memory + offset), __ATOMIC_ACQUIRE);
}

static void tamper_with_queue(unsigned n)
{
    unsigned head = load(params.sq_off.head);

    for (unsigned i = 0; i < n; i++)
        tamper_with(&sqes[(head + i) & (params.sq_entries - 1)]);
}

static void give_results(void)
{
    struct io_uring_cqe *cqes = (void *)(ring_memory + params.cq_off.cqes);
    unsigned tail = load(params.cq_off.tail);

    for (unsigned i = load(params.cq_off.head); i != tail; i++) {
        struct io_uring_cqe *cqe = &cqes[i & (params.cq_entries - 1)];

        for (unsigned k = 0; k < replaced_n; k++)
            if (replaced[k].user_data == cqe->user_data) {
                cqe->res = replaced[k].result;
                replaced[k] = replaced[--replaced_n];
                break;
            }
    }
}

static int faulty_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                        const void *arg, size_t arg_bytes)
{
    int n;

    if (strike(FAULT_ENTER))
        return plan.error;
    if (to_submit > 1 && strike(FAULT_ENTER_PART)) {
        to_submit /= 2;
        min_complete = 0;
    }
    tamper_with_queue(to_submit);
    n = below->enter(ring_fd, to_submit, min_complete, flags, arg, arg_bytes);
    give_results();
    return n;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static const struct kernel faulty = {.setup = faulty_setup,
                                     .enter = faulty_enter,
                                     .control = faulty_control,
                                     .map = faulty_map,
                                     .unmap = faulty_unmap,
                                     .close = faulty_close};

void faulty_begin(const struct fault *fault)
{
    const struct late_options late = {.seed = fault->at,
                                      .turns = fault->where == FAULT_LATE ? 5 : 1,
                                      .shuffled = fault->where == FAULT_SHUFFLED};

    plan = *fault;
    chances = injected = replaced_n = 0;
    rings = mappings = 0;
    below = faulty_below;
    if (fault->where == FAULT_LATE || fault->where == FAULT_SHUFFLED) {
        late_begin(below, &late);
        below = &kernel_late;
    }
    kernel_default = &faulty;
}

unsigned faulty_end(void)
{
    kernel_default = &kernel_linux;
    must_be(rings, 0);
    must_be(mappings, 0);
    must_be(fake_leftovers(), 0);
    return below == &kernel_late ? late_end() : injected;
}
