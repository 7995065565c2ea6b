/* SPDX-License-Identifier: MIT */
#include "io/ordinary.h"
#include "io/datagram.h"
#include "io/port.h"
#include "io/sockopt.h"

#include <fcntl.h>
#include <ouro/file.h>
#include <ouro/msg.h>
#include <unistd.h>

int ordinary_set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) != 0 ? -errno : 0;
}

int ordinary_of(struct shard *s, uint64_t id, enum slot_kind kind, bool *borrowed)
{
    struct slot *slot;
    struct ouro_op op;
    struct io_uring_sqe *sqe;

    slot = s != NULL ? slots_find(&s->slots, id, kind) : NULL;
    if (slot == NULL)
        return s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, id);
    *borrowed = !slot->direct;
    if (!slot->direct)
        return slot->fd;
    if (!ring_has_op(&s->ring, IORING_OP_FIXED_FD_INSTALL))
        return -EOPNOTSUPP;
    sqe = op_begin_on(s, &op, id, kind, IORING_OP_FIXED_FD_INSTALL, __builtin_return_address(0),
                      &slot);
    if (sqe == NULL)
        return op.future.result;
    io_uring_prep_fixed_fd_install(sqe, 0, 0);
    op_go(&op, sqe, slot, TAG_OP);
    return ouro_await(&op.future);
}

/* --- in -------------------------------------------------------------------------------------- */

/* Takes a slot for a descriptor that waits from now on. 0 or -errno: then it is still the caller's.
 */
static int adopt(struct shard *s, int fd, enum slot_kind kind, struct slot **slot)
{
    int error = ordinary_set_blocking(fd, true);

    if (error != 0)
        return error;
    *slot = slots_take(&s->slots, fd, kind);
    return *slot != NULL ? 0 : -EMFILE;
}

int ouro_conn_adopt(ouro_conn *out, int fd)
{
    struct shard *s = shard_self;
    struct slot *slot;
    int type = 0, error;
    socklen_t len = sizeof type;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL)
        return -EINVAL;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
        return -errno;
    error = adopt(s, fd, SLOT_CONN, &slot);
    if (error != 0)
        return error;
    datagram_note(slot);
    out->id = slot->id;
    return 0;
}

int ouro_file_adopt(ouro_file *out, int fd)
{
    struct shard *s = shard_self;
    struct slot *slot;
    int error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL)
        return -EINVAL;
    error = adopt(s, fd, SLOT_FILE, &slot);
    if (error == 0)
        out->id = slot->id;
    return error;
}

int ouro_pipe(ouro_file ends[2])
{
    struct shard *s = shard_self;
    struct slot *from, *to;
    int fd[2];

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (ends == NULL)
        return -EINVAL;
    if (pipe2(fd, O_CLOEXEC) != 0)
        return -errno;
    from = slots_take(&s->slots, fd[0], SLOT_FILE);
    to = from != NULL ? slots_take(&s->slots, fd[1], SLOT_FILE) : NULL;
    if (to == NULL) {
        if (from != NULL)
            slots_free(&s->slots, from->id);
        close(fd[0]);
        close(fd[1]);
        return -EMFILE;
    }
    ends[0].id = from->id;
    ends[1].id = to->id;
    return 0;
}

/* --- out ------------------------------------------------------------------------------------- */

int ouro_conn_dup(ouro_conn conn)
{
    bool borrowed;
    int fd = ordinary_of(shard_self, conn.id, SLOT_CONN, &borrowed);

    if (fd < 0 || !borrowed)
        return fd;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int give_out(struct shard *s, uint64_t id, enum slot_kind kind)
{
    struct slot *slot = s != NULL ? slots_find(&s->slots, id, kind) : NULL;
    bool borrowed;
    int fd;

    if (slot == NULL)
        return s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, id);
    if (slot->inflight != 0)
        return -EBUSY;
    fd = ordinary_of(s, id, kind, &borrowed);
    if (fd < 0)
        return fd;
    if (borrowed) {
        if (kind == SLOT_CONN)
            port_give_out(s->number, slot->object);
        slots_free(&s->slots, id);
        return fd;
    }
    slot = slots_find(&s->slots, id, kind); /* others ran meanwhile */
    if (slot == NULL || slot->inflight != 0) {
        close(fd);
        return slot == NULL ? -EBADF : -EBUSY;
    }
    op_close_detached(s, slot);
    return fd;
}

int ouro_conn_give_out(ouro_conn conn)
{
    return give_out(shard_self, conn.id, SLOT_CONN);
}

int ouro_file_give_out(ouro_file file)
{
    return give_out(shard_self, file.id, SLOT_FILE);
}
