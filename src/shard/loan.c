/* SPDX-License-Identifier: MIT */
#include "shard/op.h"

#if LOANS

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct loan {
    struct loan *next;
    const struct ouro_op *op;
    const char *p;
    size_t bytes;
};

static struct loan **bucket_of(struct loans *l, const struct ouro_op *op)
{
    return &l->bucket[((uintptr_t)op >> 4) % LOAN_BUCKETS];
}

static bool overlaps(const struct loan *x, const void *low, const void *end)
{
    return x->bytes != 0 && (uintptr_t)x->p < (uintptr_t)end &&
           (uintptr_t)x->p + x->bytes > (uintptr_t)low;
}

static const struct loan *find(const struct loans *l, const void *low, const void *end)
{
    for (size_t i = 0; i < LOAN_BUCKETS; i++)
        for (const struct loan *x = l->bucket[i]; x != NULL; x = x->next)
            if (overlaps(x, low, end))
                return x;
    return NULL;
}

static void lend(struct loans *l, const struct ouro_op *op, const void *p, size_t bytes)
{
    struct loan **bucket = bucket_of(l, op), *x = malloc(sizeof *x);

    ensure(x != NULL, "not enough memory to note what the kernel writes");
    *x = (struct loan){.next = *bucket, .op = op, .p = p, .bytes = bytes};
    *bucket = x;
    poison(p, bytes);
}

/* --- what a system call's own check would have found --------------------------------------------
 */

enum direction { KERNEL_READS, KERNEL_WRITES };

/* A report if the kernel could not have, [LOAN-4] excepted. */
static void inspect(const struct loans *l, const void *p, size_t bytes, enum direction direction)
{
#if POISON_ASAN
    const volatile char *bad = __asan_region_is_poisoned((void *)(uintptr_t)p, bytes);

    (void)direction;
    if (bad != NULL &&
        find(l, (const char *)(uintptr_t)bad, (const char *)(uintptr_t)bad + 1) == NULL)
        (void)*bad;
#else
    if (find(l, p, (const char *)p + bytes) != NULL)
        return;
    if (direction == KERNEL_READS)
        (void)VALGRIND_CHECK_MEM_IS_DEFINED(p, bytes);
    else
        (void)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(p, bytes);
#endif
}

/* --- what an SQE lends --------------------------------------------------------------------------
 */

static void pass(struct loans *l, const struct ouro_op *op, const void *p, size_t bytes,
                 enum direction direction)
{
    if (p == NULL || bytes == 0)
        return;
    inspect(l, p, bytes, direction);
    if (direction == KERNEL_WRITES)
        lend(l, op, p, bytes);
}

static void pass_parts(struct loans *l, const struct ouro_op *op, const struct iovec *iov, size_t n,
                       enum direction direction)
{
    for (size_t i = 0; iov != NULL && i < n; i++) /* else the kernel says -EFAULT */
        pass(l, op, iov[i].iov_base, iov[i].iov_len, direction);
}

static void pass_message(struct loans *l, const struct ouro_op *op, const struct msghdr *m,
                         enum direction direction)
{
    if (m == NULL)
        return;
    pass_parts(l, op, m->msg_iov, m->msg_iovlen, direction);
    pass(l, op, m->msg_name, m->msg_namelen, direction);
    if (direction == KERNEL_WRITES) /* else it has gaps that nobody initialises */
        pass(l, op, m->msg_control, m->msg_controllen, direction);
}

static void pass_sqe(struct loans *l, const struct ouro_op *op, const struct io_uring_sqe *sqe)
{
    const void *p = (const void *)(uintptr_t)sqe->addr;

    switch (sqe->opcode) {
    case IORING_OP_RECV:
    case IORING_OP_READ:
    case IORING_OP_READ_FIXED:
        pass(l, op, p, sqe->len, KERNEL_WRITES);
        break;
    case IORING_OP_READV:
        pass_parts(l, op, p, sqe->len, KERNEL_WRITES);
        break;
    case IORING_OP_RECVMSG:
        pass_message(l, op, p, KERNEL_WRITES);
        break;
    case IORING_OP_STATX:
        pass(l, op, (const void *)(uintptr_t)sqe->addr2, sizeof(struct statx), KERNEL_WRITES);
        break;
    case IORING_OP_URING_CMD:
        if (sqe->cmd_op == SOCKET_URING_OP_GETSOCKOPT)
            pass(l, op, (const void *)(uintptr_t)sqe->optval, sqe->optlen, KERNEL_WRITES);
        break;
    case IORING_OP_SEND:
    case IORING_OP_SEND_ZC:
    case IORING_OP_WRITE:
    case IORING_OP_WRITE_FIXED:
        pass(l, op, p, sqe->len, KERNEL_READS);
        break;
    case IORING_OP_WRITEV:
        pass_parts(l, op, p, sqe->len, KERNEL_READS);
        break;
    case IORING_OP_SENDMSG:
    case IORING_OP_SENDMSG_ZC:
        pass_message(l, op, p, KERNEL_READS);
        break;
    default:
        break;
    }
}

void loan_begin(struct loans *l, const struct ouro_op *op, const struct io_uring_sqe *sqe)
{
    for (const struct loan *x = *bucket_of(l, op); x != NULL; x = x->next)
        if (x->op == op)
            return;
    lend(l, op, &op->place, sizeof op->place);
    if (sqe != NULL && (sqe->flags & IOSQE_BUFFER_SELECT) == 0)
        pass_sqe(l, op, sqe);
}

void loan_end(struct loans *l, const struct ouro_op *op)
{
    struct loan **link = bucket_of(l, op), *x;

    while ((x = *link) != NULL) {
        if (x->op != op) {
            link = &x->next;
            continue;
        }
        *link = x->next;
        unpoison(x->p, x->bytes);
        free(x);
    }
}

bool loan_within(const struct loans *l, const struct ouro_op *op, const void *low, const void *end)
{
    for (const struct loan *x = *bucket_of((struct loans *)(uintptr_t)l, op); x != NULL;
         x = x->next)
        if (x->op == op && overlaps(x, low, end))
            return true;
    return false;
}

/* --- freed -------------------------------------------------------------------------------------
 */

#if POISON_ASAN

/* gcc has these, without the header that declares them. */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *p, size_t n),
                                              void (*freed)(const volatile void *p));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static void allocated(const volatile void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}

/* By the thread whose shard has it on loan; others' tables are theirs. */
static void freed(const volatile void *p)
{
    const struct shard *s = shard_self;
    const char *begin = (const char *)(uintptr_t)p;
    const struct loan *x;
    size_t bytes;

    if (s == NULL || begin == NULL)
        return;
    bytes = __sanitizer_get_allocated_size(begin);
    if (__asan_region_is_poisoned((void *)(uintptr_t)begin, bytes) == NULL)
        return;
    x = find(&s->loans, begin, begin + bytes);
    ensure(x == NULL, "memory of '%s', started at %p, was freed while the kernel had it",
           future_name(&x->op->future), op_place(x->op));
}

static void install(void)
{
    __sanitizer_install_malloc_and_free_hooks(allocated, freed);
}

#endif

void loans_init(struct loans *l)
{
#if POISON_ASAN
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
#endif
    *l = (struct loans){0};
}

#endif
