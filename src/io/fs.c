/* SPDX-License-Identifier: MIT */
/* Names: each start is a base and the few fields that differ. */
#include "io/path.h"

#include <ouro/fs.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* The base of operations on one path; NULL: refused. */
static struct io_uring_sqe *path_begin(struct ouro_path *p, ouro_file dir, const char *path,
                                       unsigned opcode, const void *place, int *fd)
{
    if (path == NULL) {
        op_refuse(&p->op, -EINVAL);
        return NULL;
    }
    return op_begin_at(shard_self, &p->op, dir, opcode, place, fd);
}

static void unlink_start(struct ouro_path *p, ouro_file dir, const char *path, int flags,
                         const void *place)
{
    int fd;
    struct io_uring_sqe *sqe = path_begin(p, dir, path, IORING_OP_UNLINKAT, place, &fd);

    if (sqe == NULL)
        return;
    io_uring_prep_unlinkat(sqe, fd, path, flags);
    op_go(&p->op, sqe, NULL, TAG_OP);
}

void ouro_unlink_start(struct ouro_path *p, ouro_file dir, const char *path)
{
    unlink_start(p, dir, path, 0, CALLER);
}

void ouro_rmdir_start(struct ouro_path *p, ouro_file dir, const char *path)
{
    unlink_start(p, dir, path, AT_REMOVEDIR, CALLER);
}

void ouro_mkdir_start(struct ouro_path *p, ouro_file dir, const char *path, mode_t mode)
{
    int fd;
    struct io_uring_sqe *sqe = path_begin(p, dir, path, IORING_OP_MKDIRAT, CALLER, &fd);

    if (sqe == NULL)
        return;
    io_uring_prep_mkdirat(sqe, fd, path, mode);
    op_go(&p->op, sqe, NULL, TAG_OP);
}

void ouro_symlink_start(struct ouro_path *p, const char *target, ouro_file dir, const char *path)
{
    int fd;
    struct io_uring_sqe *sqe =
        path_begin(p, dir, target != NULL ? path : NULL, IORING_OP_SYMLINKAT, CALLER, &fd);

    if (sqe == NULL)
        return;
    io_uring_prep_symlinkat(sqe, target, fd, path);
    op_go(&p->op, sqe, NULL, TAG_OP);
}

/* --- two paths -------------------------------------------------------------------------------- */

/* The operation holds the first directory, the call the second. 0 or -errno; *fd as the kernel
 * calls it. */
static int hold_second(struct shard *s, struct ouro_rename *r, int *fd)
{
    struct slot *slot;

    *fd = AT_FDCWD;
    if (r->to_dir.id == OURO_CWD.id)
        return 0;
    slot = slots_find(&s->slots, r->to_dir.id, SLOT_FILE);
    if (slot == NULL)
        return slots_missing(&s->slots, r->to_dir.id);
    if (slot->direct)
        return -ENOTDIR;
    r->op.slot = slot_index(&s->slots, slot);
    slot->inflight++;
    *fd = slot->fd;
    return 0;
}

static void rename_step(struct shard *s, struct ouro_rename *r)
{
    struct io_uring_sqe *sqe;
    int from, to, error = hold_second(s, r, &to);

    if (error != 0) {
        op_refuse(&r->step, error);
        return;
    }
    sqe = op_begin_at(s, &r->step, r->from_dir, r->link ? IORING_OP_LINKAT : IORING_OP_RENAMEAT,
                      r->op.place, &from);
    if (sqe == NULL)
        return;
    if (r->link)
        io_uring_prep_linkat(sqe, from, r->from, to, r->to, (int)r->flags);
    else
        io_uring_prep_renameat(sqe, from, r->from, to, r->to, r->flags);
    op_go(&r->step, sqe, NULL, TAG_OP);
}

static void rename_resume(struct ouro_task *task)
{
    struct ouro_rename *r = OURO_FRAME(task, struct ouro_rename, task);

    OURO_BEGIN(task);
    rename_step(shard_self, r);
    OURO_AWAIT(task, &r->step.future);
    op_release_slot(shard_self, &r->op);
    CALL_END(task, r->step.future.result);
}

static void rename_start(struct ouro_rename *r, ouro_file from_dir, const char *from,
                         ouro_file to_dir, const char *to, unsigned flags, bool link,
                         const void *place)
{
    struct shard *s = shard_self;

    r->from_dir = from_dir;
    r->to_dir = to_dir;
    r->from = from;
    r->to = to;
    r->flags = flags;
    r->link = link;
    if (s == NULL || from == NULL || to == NULL)
        op_refuse(&r->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    else
        call_start(s, (struct call *)&r->op, rename_resume, link ? "link" : "rename", place, false);
}

void ouro_rename_start(struct ouro_rename *r, ouro_file from_dir, const char *from,
                       ouro_file to_dir, const char *to, unsigned flags)
{
    rename_start(r, from_dir, from, to_dir, to, flags, false, CALLER);
}

void ouro_link_start(struct ouro_rename *r, ouro_file from_dir, const char *from, ouro_file to_dir,
                     const char *to, unsigned flags)
{
    rename_start(r, from_dir, from, to_dir, to, flags, true, CALLER);
}

/* --- the text of a link ------------------------------------------------------------------------
 */

/* Of the link that the handle itself is open on. */
static int text_of(struct shard *s, struct ouro_readlink *r, ouro_file link)
{
    const struct slot *slot = slots_find(&s->slots, link.id, SLOT_FILE);
    ssize_t n;

    check(slot != NULL); /* nobody else knows the handle */
    n = readlinkat(slot->fd, "", r->buf, r->size);
    if (n < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* what it says of anything but a link */
    if ((size_t)n == r->size)
        return -ERANGE;
    r->buf[n] = '\0';
    return (int)n;
}

static void readlink_resume(struct ouro_task *task)
{
    struct ouro_readlink *r = OURO_FRAME(task, struct ouro_readlink, task);
    ouro_file link;

    OURO_BEGIN(task);
    ouro_open_at_start(&r->step.open, r->dir, r->path, O_PATH | O_NOFOLLOW, 0);
    OURO_AWAIT(task, &r->step.open.op.future);
    if (r->step.open.op.future.result < 0) {
        call_end(task, r->step.open.op.future.result);
        return;
    }
    link = r->step.open.file;
    r->result = text_of(shard_self, r, link);
    ouro_file_close_start(&r->step.close, link);
    OURO_AWAIT(task, &r->step.close.op.future);
    CALL_END(task, r->result);
}

void ouro_readlink_start(struct ouro_readlink *r, ouro_file dir, const char *path, char *buf,
                         size_t size)
{
    struct shard *s = shard_self;

    r->dir = dir;
    r->path = path;
    r->buf = buf;
    r->size = size;
    if (s == NULL || path == NULL || buf == NULL || size == 0 || size > INT32_MAX)
        op_refuse(&r->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    else
        call_start(s, (struct call *)&r->op, readlink_resume, "readlink", CALLER, false);
}
