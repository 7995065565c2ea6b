/* SPDX-License-Identifier: MIT */
#include "io/path.h"

#include <limits.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* Opens into the direct table where there is one, and the file is to be read or written. */
static void open_step(struct shard *s, struct ouro_open *o)
{
    struct io_uring_sqe *sqe;
    int dir;

    o->promised = o->direct && direct_promise(s);
    if (o->direct && !o->promised) {
        op_refuse(&o->step, -ENFILE);
        return;
    }
    sqe = op_begin_at(s, &o->step, o->dir, IORING_OP_OPENAT, o->op.place, &dir);
    if (sqe == NULL)
        return;
    if (o->direct)
        io_uring_prep_openat_direct(sqe, dir, o->path, o->flags, o->mode, IORING_FILE_INDEX_ALLOC);
    else
        io_uring_prep_openat(sqe, dir, o->path, o->flags | O_CLOEXEC, o->mode);
    op_go(&o->step, sqe, NULL, TAG_OP);
}

static void open_resume(struct ouro_task *task)
{
    struct ouro_open *o = OURO_FRAME(task, struct ouro_open, task);
    struct shard *s = shard_self;
    struct slot *slot;
    int fd;

    OURO_BEGIN(task);
    open_step(s, o);
    OURO_AWAIT(task, &o->step.future);
    if (o->promised)
        direct_keep(s);
    fd = o->step.future.result;
    if (fd < 0) {
        call_end(task, fd);
        return;
    }
    slot = o->direct ? slots_take_direct(&s->slots, (uint32_t)fd, SLOT_FILE)
                     : slots_take(&s->slots, fd, SLOT_FILE);
    if (slot == NULL) {
        close(fd);
        call_end(task, -EMFILE);
        return;
    }
    o->file.id = slot->id;
    CALL_END(task, 0);
}

static void open_start(struct ouro_open *o, ouro_file dir, const char *path, int flags, mode_t mode,
                       const void *place)
{
    struct shard *s = shard_self;

    o->path = path;
    o->dir = dir;
    o->flags =
        flags & ~O_CLOEXEC; /* a direct descriptor is never inherited, and the flag is refused */
    o->mode = mode;
    o->direct = s != NULL && s->ring.caps.direct && (flags & (O_DIRECTORY | O_PATH)) == 0;
    o->promised = false;
    o->file.id = 0;
    if (s == NULL || path == NULL) {
        op_refuse(&o->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
        return;
    }
    call_start(s, (struct call *)&o->op, open_resume, "open", place, false);
}

void ouro_open_start(struct ouro_open *o, const char *path, int flags, mode_t mode)
{
    open_start(o, OURO_CWD, path, flags, mode, CALLER);
}

void ouro_open_at_start(struct ouro_open *o, ouro_file dir, const char *path, int flags,
                        mode_t mode)
{
    open_start(o, dir, path, flags, mode, CALLER);
}

static int open_wait(ouro_file *out, ouro_file dir, const char *path, int flags, mode_t mode,
                     const void *place)
{
    struct ouro_open o;
    int error;

    if (out == NULL)
        return -EINVAL;
    open_start(&o, dir, path, flags, mode, place);
    error = ouro_await(&o.op.future);
    *out = o.file;
    return error;
}

int ouro_open(ouro_file *out, const char *path, int flags, mode_t mode)
{
    return open_wait(out, OURO_CWD, path, flags, mode, CALLER);
}

int ouro_open_at(ouro_file *out, ouro_file dir, const char *path, int flags, mode_t mode)
{
    return open_wait(out, dir, path, flags, mode, CALLER);
}

enum direction { READ, WRITE };

static bool bad_offset(uint64_t offset)
{
    return offset > INT64_MAX && offset != OURO_STREAM;
}

static void rw_start(struct ouro_rw *r, ouro_file file, void *buf, size_t len, uint64_t offset,
                     enum direction direction, const void *place)
{
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (len > INT32_MAX || (buf == NULL && len != 0) || bad_offset(offset)) {
        op_refuse(&r->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(shard_self, &r->op, file.id, SLOT_FILE,
                      direction == READ ? IORING_OP_READ : IORING_OP_WRITE, place, &slot);
    if (sqe == NULL)
        return;
    if (direction == READ)
        io_uring_prep_read(sqe, 0, buf, (unsigned)len, offset);
    else
        io_uring_prep_write(sqe, 0, buf, (unsigned)len, offset);
    op_go(&r->op, sqe, slot, TAG_OP);
}

static void rwv_start(struct ouro_rw *r, ouro_file file, const struct iovec *iov, size_t n,
                      uint64_t offset, enum direction direction, const void *place)
{
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (n > IOV_MAX || (iov == NULL && n != 0) || bad_offset(offset)) {
        op_refuse(&r->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(shard_self, &r->op, file.id, SLOT_FILE,
                      direction == READ ? IORING_OP_READV : IORING_OP_WRITEV, place, &slot);
    if (sqe == NULL)
        return;
    if (direction == READ)
        io_uring_prep_readv(sqe, 0, iov, (unsigned)n, offset);
    else
        io_uring_prep_writev(sqe, 0, iov, (unsigned)n, offset);
    op_go(&r->op, sqe, slot, TAG_OP);
}

void ouro_read_start(struct ouro_rw *r, ouro_file file, void *buf, size_t len, uint64_t offset)
{
    rw_start(r, file, buf, len, offset, READ, CALLER);
}

void ouro_write_start(struct ouro_rw *w, ouro_file file, const void *buf, size_t len,
                      uint64_t offset)
{
    rw_start(w, file, (void *)(uintptr_t)buf, len, offset, WRITE, CALLER);
}

void ouro_readv_start(struct ouro_rw *r, ouro_file file, const struct iovec *iov, size_t n,
                      uint64_t offset)
{
    rwv_start(r, file, iov, n, offset, READ, CALLER);
}

void ouro_writev_start(struct ouro_rw *w, ouro_file file, const struct iovec *iov, size_t n,
                       uint64_t offset)
{
    rwv_start(w, file, iov, n, offset, WRITE, CALLER);
}

static void sync_start(struct ouro_rw *r, ouro_file file, unsigned flags, const void *place)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(shard_self, &r->op, file.id, SLOT_FILE, IORING_OP_FSYNC, place, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_fsync(sqe, 0, flags);
    op_go(&r->op, sqe, slot, TAG_OP);
}

void ouro_fsync_start(struct ouro_rw *r, ouro_file file)
{
    sync_start(r, file, 0, CALLER);
}

void ouro_fdatasync_start(struct ouro_rw *r, ouro_file file)
{
    sync_start(r, file, IORING_FSYNC_DATASYNC, CALLER);
}
