/* SPDX-License-Identifier: MIT */
/* Attributes: of a path one operation; of an open file the same on its descriptor, and for a direct
 * one, which statx cannot name, an ordinary descriptor before it and its close after it. */
#include "io/path.h"

#include <ouro/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

_Static_assert(sizeof(struct statx) == sizeof((struct ouro_stat_call *)0)->raw,
               "the kernel writes all of a struct statx");

static int64_t nanoseconds(const struct statx_timestamp *t)
{
    return t->tv_sec * (int64_t)OURO_NSEC_PER_SEC + t->tv_nsec;
}

/* What the kernel does not know it leaves 0. */
static void take(struct ouro_stat *st, const uint64_t *raw)
{
    struct statx x;

    memcpy(&x, raw, sizeof x);
    *st = (struct ouro_stat){
        .size = x.stx_size,
        .blocks = x.stx_blocks,
        .ino = x.stx_ino,
        .dev = makedev(x.stx_dev_major, x.stx_dev_minor),
        .atime_ns = nanoseconds(&x.stx_atime),
        .mtime_ns = nanoseconds(&x.stx_mtime),
        .ctime_ns = nanoseconds(&x.stx_ctime),
        .birth_ns = nanoseconds(&x.stx_btime),
        .mode = x.stx_mode,
        .nlink = x.stx_nlink,
        .uid = x.stx_uid,
        .gid = x.stx_gid,
        .dio_mem_align = x.stx_dio_mem_align,
        .dio_offset_align = x.stx_dio_offset_align,
    };
}

static void statx_go(struct ouro_stat_call *c, struct io_uring_sqe *sqe, int fd)
{
    if (sqe == NULL)
        return;
    io_uring_prep_statx(sqe, fd, c->path, c->flags,
                        STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN,
                        (struct statx *)(void *)c->raw);
    op_go(&c->step, sqe, NULL, TAG_OP);
}

/* --- of a path -------------------------------------------------------------------------------- */

static void path_resume(struct ouro_task *task)
{
    struct ouro_stat_call *c = OURO_FRAME(task, struct ouro_stat_call, task);
    struct io_uring_sqe *sqe;
    int fd;

    OURO_BEGIN(task);
    sqe = op_begin_at(shard_self, &c->step, c->at, IORING_OP_STATX, c->op.place, &fd);
    statx_go(c, sqe, fd);
    OURO_AWAIT(task, &c->step.future);
    if (c->step.future.result == 0)
        take(&c->st, c->raw);
    CALL_END(task, c->step.future.result);
}

void ouro_stat_start(struct ouro_stat_call *c, ouro_file dir, const char *path, int flags)
{
    struct shard *s = shard_self;

    c->at = dir;
    c->path = path;
    c->flags = flags;
    c->st = (struct ouro_stat){0};
    memset(c->raw, 0, sizeof c->raw);
    if (s == NULL || path == NULL)
        op_refuse(&c->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    else
        call_start(s, (struct call *)&c->op, path_resume, "stat", CALLER, false);
}

/* --- of an open file -------------------------------------------------------------------------- */

static void install_step(struct shard *s, struct ouro_stat_call *c)
{
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (!ring_has_op(&s->ring, IORING_OP_FIXED_FD_INSTALL)) {
        op_refuse(&c->step, -EOPNOTSUPP);
        return;
    }
    sqe = op_begin_on(s, &c->step, c->at.id, SLOT_FILE, IORING_OP_FIXED_FD_INSTALL, c->op.place,
                      &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_fixed_fd_install(sqe, 0, 0);
    op_go(&c->step, sqe, slot, TAG_OP);
}

/* By the ring, as some file systems write back at every close. */
static void close_step(struct shard *s, struct ouro_stat_call *c)
{
    struct io_uring_sqe *sqe = op_begin(s, &c->step, IORING_OP_CLOSE, c->op.place);

    if (sqe == NULL) {
        close(c->fd);
        return;
    }
    io_uring_prep_close(sqe, c->fd);
    op_go(&c->step, sqe, NULL, TAG_OP);
}

static void direct_resume(struct ouro_task *task)
{
    struct ouro_stat_call *c = OURO_FRAME(task, struct ouro_stat_call, task);
    struct shard *s = shard_self;

    OURO_BEGIN(task);
    install_step(s, c);
    OURO_AWAIT(task, &c->step.future);
    c->fd = c->step.future.result;
    if (c->fd < 0) {
        call_end(task, c->fd);
        return;
    }
    statx_go(c, op_begin(s, &c->step, IORING_OP_STATX, c->op.place), c->fd);
    OURO_AWAIT(task, &c->step.future);
    c->result = c->step.future.result;
    ouro_shield_enter();
    close_step(s, c);
    OURO_AWAIT(task, &c->step.future);
    ouro_shield_leave();
    if (c->result == 0)
        take(&c->st, c->raw);
    CALL_END(task, c->result);
}

void ouro_file_stat_start(struct ouro_stat_call *c, ouro_file file)
{
    struct shard *s = shard_self;
    struct slot *slot = s != NULL ? slots_find(&s->slots, file.id, SLOT_FILE) : NULL;

    c->at = file;
    c->path = "";
    c->flags = AT_EMPTY_PATH;
    c->st = (struct ouro_stat){0};
    memset(c->raw, 0, sizeof c->raw);
    if (slot == NULL)
        op_refuse(&c->op, s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, file.id));
    else
        call_start(s, (struct call *)&c->op, slot->direct ? direct_resume : path_resume,
                   "file_stat", CALLER, false);
}
