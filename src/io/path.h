/* SPDX-License-Identifier: MIT */
/* Operations that look up a path. */
#ifndef IO_PATH_H
#define IO_PATH_H

#include "shard/op.h"
#include <ouro/file.h>

/* op_begin for a path that begins at `dir`: *fd is what the kernel calls it. The directory's slot
 * is held until completion, or the path might be looked up from the descriptor's next owner. */
static inline struct io_uring_sqe *op_begin_at(struct shard *s, struct ouro_op *op, ouro_file dir,
                                               unsigned opcode, const void *place, int *fd)
{
    struct io_uring_sqe *sqe;
    struct slot *slot;

    *fd = AT_FDCWD;
    if (dir.id == OURO_CWD.id)
        return op_begin(s, op, opcode, place);
    slot = s != NULL ? slots_find(&s->slots, dir.id, SLOT_FILE) : NULL;
    if (slot != NULL && slot->direct) {
        op_refuse(op, -ENOTDIR);
        return NULL;
    }
    sqe = op_begin_on(s, op, dir.id, SLOT_FILE, opcode, place, &slot);
    if (sqe != NULL)
        *fd = slot->fd;
    return sqe;
}

#endif
