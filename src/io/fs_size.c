/* SPDX-License-Identifier: MIT */
/* Size and blocks of open files. */
#include "shard/op.h"

#include <ouro/fs.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* Where the ring cannot: the system call, of which there is no other than this blocking one. 0 or
 * -errno. */
static int ftruncate_here(struct shard *s, ouro_file file, uint64_t size)
{
    struct slot *slot = slots_find(&s->slots, file.id, SLOT_FILE);

    if (slot == NULL)
        return slots_missing(&s->slots, file.id);
    if (slot->direct)
        return -EOPNOTSUPP;
    if (task_cancelled(s->current))
        return -ECANCELED;
    return ftruncate(slot->fd, (off_t)size) == 0 ? 0 : -errno;
}

void ouro_ftruncate_start(struct ouro_rw *t, ouro_file file, uint64_t size)
{
    struct shard *s = shard_self;
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (size > INT64_MAX) {
        op_refuse(&t->op, -EINVAL);
        return;
    }
    if (s != NULL && !ring_has_op(&s->ring, IORING_OP_FTRUNCATE)) {
        op_refuse(&t->op, ftruncate_here(s, file, size));
        return;
    }
    sqe = op_begin_on(s, &t->op, file.id, SLOT_FILE, IORING_OP_FTRUNCATE, CALLER, &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_ftruncate(sqe, 0, (loff_t)size);
    op_go(&t->op, sqe, slot, TAG_OP);
}

void ouro_fallocate_start(struct ouro_rw *a, ouro_file file, int mode, uint64_t offset,
                          uint64_t len)
{
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (offset > INT64_MAX || len > INT64_MAX) {
        op_refuse(&a->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(shard_self, &a->op, file.id, SLOT_FILE, IORING_OP_FALLOCATE, CALLER, &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_fallocate(sqe, 0, mode, offset, len);
    op_go(&a->op, sqe, slot, TAG_OP);
}
