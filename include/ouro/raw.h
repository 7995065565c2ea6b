/* SPDX-License-Identifier: MIT */
/* Operations of io_uring that Ouro has no call for: the caller fills in the submission entry, the
 * runtime makes a future of it, with cancellation and the memory rule (ouro/future.h).
 *
 *      #include <linux/io_uring.h>
 *
 *      struct io_uring_sqe sqe = {.opcode = IORING_OP_FTRUNCATE, .off = 4096};
 *      error = ouro_op_raw_file(file, &sqe, NULL);
 *
 * `sqe64` is the 64 bytes of a struct io_uring_sqe; they are copied by the start. What they point
 * to is the kernel's until DONE. user_data is the runtime's and overwritten. The result is what the
 * kernel says: >= 0 or -errno; an opcode that it does not know gives -EINVAL, one that the runtime
 * itself does not use -EACCES under options.restrict_ring. Starts behave as in
 * ouro/net.h.
 *
 * -EINVAL is also given for what would break the runtime, and nothing is started then:
 *   flags     all but IOSQE_ASYNC. Links, drain and suppressed completions involve operations of
 *             others; provided buffers and the table of direct descriptors (IOSQE_FIXED_FILE) are
 *             the runtime's: use the forms below that take a handle
 *   twice     what completes more than once: multishot poll, accept and time-out, zero-copy sends
 *   entries   what takes, closes or reads from an entry of the table of direct descriptors by its
 *             number (file_index, SPLICE_F_FD_IN_FIXED)
 *   others    ASYNC_CANCEL, POLL_REMOVE, TIMEOUT_REMOVE, LINK_TIMEOUT: ouro_cancel() is the way;
 *             FILES_UPDATE; MSG_RING, which could forge completions of a shard
 * An operation that says it will complete again, although it is not one of these, is cancelled, and
 * DONE with its first result when its last completion has come.
 *
 * A shard's ring has entries of 64 and completions of 16 bytes. What needs larger ones (NVMe
 * passthrough, the opcodes with 128 bytes) is refused by the kernel: twice the memory for every
 * operation of every program would be the price.
 */
#ifndef OURO_RAW_H
#define OURO_RAW_H

#include <ouro/file.h>

OURO_BEGIN_DECLS

struct ouro_op_raw {
    struct ouro_op op;
    uint32_t cqe_flags; /* when DONE: of the completion whose result it is; 0 if refused */
    bool more;          /* the runtime's */
};

/* `fd` in the entry is an ordinary descriptor, or whatever the opcode makes of it. */
OURO_API void ouro_op_raw_start(struct ouro_op_raw *r, const void *sqe64);

/* On a handle: `fd` and IOSQE_FIXED_FILE are filled in, the handle's slot is held. Not CLOSE. */
OURO_API void ouro_op_raw_conn_start(struct ouro_op_raw *r, ouro_conn conn, const void *sqe64);
OURO_API void ouro_op_raw_file_start(struct ouro_op_raw *r, ouro_file file, const void *sqe64);

/* `cqe_flags` may be NULL. */
static inline int ouro_op_raw(const void *sqe64, uint32_t *cqe_flags)
{
    struct ouro_op_raw r;
    int result;

    ouro_op_raw_start(&r, sqe64);
    result = ouro_await(&r.op.future);
    if (cqe_flags != NULL)
        *cqe_flags = r.cqe_flags;
    return result;
}

static inline int ouro_op_raw_conn(ouro_conn conn, const void *sqe64, uint32_t *cqe_flags)
{
    struct ouro_op_raw r;
    int result;

    ouro_op_raw_conn_start(&r, conn, sqe64);
    result = ouro_await(&r.op.future);
    if (cqe_flags != NULL)
        *cqe_flags = r.cqe_flags;
    return result;
}

static inline int ouro_op_raw_file(ouro_file file, const void *sqe64, uint32_t *cqe_flags)
{
    struct ouro_op_raw r;
    int result;

    ouro_op_raw_file_start(&r, file, sqe64);
    result = ouro_await(&r.op.future);
    if (cqe_flags != NULL)
        *cqe_flags = r.cqe_flags;
    return result;
}

OURO_END_DECLS

#endif
