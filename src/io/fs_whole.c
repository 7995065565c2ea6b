/* SPDX-License-Identifier: MIT */
/* All of it: what was asked for, or a whole file. */
#include "shard/op.h"

#include <ouro/fs.h>
#include <stdlib.h>

#define CALLER __builtin_return_address(0)

/* --- reads and writes that go on ---------------------------------------------------------------
 */

static void full_step(struct ouro_full *f)
{
    size_t rest = f->len - f->done;
    uint64_t at = f->offset == OURO_STREAM ? OURO_STREAM : f->offset + f->done;

    if (f->write)
        ouro_write_start(&f->step, f->file, f->data + f->done, rest, at);
    else
        ouro_read_start(&f->step, f->file, f->data + f->done, rest, at);
}

static void full_resume(struct ouro_task *task)
{
    struct ouro_full *f = OURO_FRAME(task, struct ouro_full, task);
    int n;

    OURO_BEGIN(task);
    while (f->done < f->len) {
        full_step(f);
        OURO_AWAIT(task, &f->step.op.future);
        n = op_step_result(shard_self, f->file.id, SLOT_FILE, f->step.op.future.result);
        if (n < 0 || (n == 0 && f->write)) {
            call_end(task, n < 0 ? n : -EIO);
            return;
        }
        if (n == 0)
            break;
        f->done += (size_t)n;
    }
    CALL_END(task, (int)f->done);
}

static void full_start(struct ouro_full *f, ouro_file file, const void *data, size_t len,
                       uint64_t offset, bool write, const void *place)
{
    struct shard *s = shard_self;
    int error = 0;

    f->file = file;
    f->data = (char *)(uintptr_t)data;
    f->len = len;
    f->done = 0;
    f->offset = offset;
    f->write = write;
    if (s == NULL)
        error = -OURO_ENOSHARD;
    else if (len > INT32_MAX || (data == NULL && len != 0) ||
             (offset > INT64_MAX - len && offset != OURO_STREAM))
        error = -EINVAL;
    else if (slots_find(&s->slots, file.id, SLOT_FILE) == NULL) /* no step may find out */
        error = slots_missing(&s->slots, file.id);
    if (error != 0)
        op_refuse(&f->op, error);
    else
        call_start(s, (struct call *)&f->op, full_resume, write ? "write_full" : "read_full", place,
                   false);
}

void ouro_read_full_start(struct ouro_full *f, ouro_file file, void *buf, size_t len,
                          uint64_t offset)
{
    full_start(f, file, buf, len, offset, false, CALLER);
}

void ouro_write_full_start(struct ouro_full *f, ouro_file file, const void *buf, size_t len,
                           uint64_t offset)
{
    full_start(f, file, buf, len, offset, true, CALLER);
}

/* --- a whole file, read ------------------------------------------------------------------------
 */

/* Most files that are read at one go are smaller; doubled as they turn out not to be. */
#define FIRST_BYTES 16384

/* Room for at least one byte more, and for the zero byte behind. What is beyond the limit by one
 * byte is found out by reading it. */
static int make_room(struct ouro_read_all *r)
{
    size_t room = r->room == 0 ? FIRST_BYTES : 2 * r->room;
    char *data;

    if (r->len < r->room)
        return 0;
    if (room > r->max_bytes + 1)
        room = r->max_bytes + 1;
    data = realloc(r->data, room + 1);
    if (data == NULL)
        return -ENOMEM;
    r->data = data;
    r->room = room;
    return 0;
}

/* Takes what a read gave; true: read on. */
static bool read_on(struct ouro_read_all *r, int n)
{
    if (n > 0)
        r->len += (size_t)n;
    r->result = n < 0 ? n : r->len > r->max_bytes ? -EFBIG : 0;
    return n > 0 && r->result == 0;
}

static void read_all_end(struct ouro_read_all *r)
{
    if (r->result == 0) {
        char *fitting = realloc(r->data, r->len + 1);

        if (fitting != NULL)
            r->data = fitting;
        r->data[r->len] = '\0';
    } else {
        free(r->data);
        r->data = NULL;
        r->len = 0;
    }
    call_end(&r->task, r->result);
}

static void read_all_resume(struct ouro_task *task)
{
    struct ouro_read_all *r = OURO_FRAME(task, struct ouro_read_all, task);

    OURO_BEGIN(task);
    ouro_open_at_start(&r->step.open, r->at, r->path, O_RDONLY, 0);
    OURO_AWAIT(task, &r->step.open.op.future);
    r->result = r->step.open.op.future.result;
    if (r->result < 0) {
        call_end(task, r->result);
        return;
    }
    r->at = r->step.open.file;
    while ((r->result = make_room(r)) == 0) {
        ouro_read_start(&r->step.rw, r->at, r->data + r->len, r->room - r->len, r->len);
        OURO_AWAIT(task, &r->step.rw.op.future);
        if (!read_on(r, r->step.rw.op.future.result))
            break;
    }
    ouro_file_close_start(&r->step.close, r->at);
    OURO_AWAIT(task, &r->step.close.op.future);
    OURO_BEGIN_END;
    read_all_end(r);
}

void ouro_file_read_all_start(struct ouro_read_all *r, ouro_file dir, const char *path,
                              size_t max_bytes)
{
    struct shard *s = shard_self;

    r->at = dir;
    r->path = path;
    r->max_bytes = max_bytes;
    r->room = r->len = 0;
    r->data = NULL;
    if (s == NULL || path == NULL || max_bytes >= INT32_MAX)
        op_refuse(&r->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    else
        call_start(s, (struct call *)&r->op, read_all_resume, "file_read_all", CALLER, false);
}

int ouro_file_read_all(ouro_file dir, const char *path, size_t max_bytes, void **data, size_t *len)
{
    struct ouro_read_all r;
    int error;

    if (data == NULL || len == NULL)
        return -EINVAL;
    ouro_file_read_all_start(&r, dir, path, max_bytes);
    error = ouro_await(&r.op.future);
    *data = r.data;
    *len = r.len;
    return error;
}

/* --- a whole file, written ---------------------------------------------------------------------
 */

static void write_all_resume(struct ouro_task *task)
{
    struct ouro_write_all *w = OURO_FRAME(task, struct ouro_write_all, task);

    OURO_BEGIN(task);
    ouro_open_at_start(&w->step.open, w->at, w->path,
                       O_WRONLY | O_CREAT | ((w->flags & OURO_WRITE_NEW) != 0 ? O_EXCL : O_TRUNC),
                       w->mode);
    OURO_AWAIT(task, &w->step.open.op.future);
    w->result = w->step.open.op.future.result;
    if (w->result < 0) {
        call_end(task, w->result);
        return;
    }
    w->at = w->step.open.file;
    ouro_write_full_start(&w->step.full, w->at, w->data, w->len, 0);
    OURO_AWAIT(task, &w->step.full.op.future);
    w->done = w->step.full.done;
    w->result = w->step.full.op.future.result;
    if (w->result >= 0 && (w->flags & OURO_WRITE_SYNC) != 0) {
        ouro_fsync_start(&w->step.rw, w->at);
        OURO_AWAIT(task, &w->step.rw.op.future);
        w->result = w->step.rw.op.future.result;
    }
    ouro_file_close_start(&w->step.close, w->at);
    OURO_AWAIT(task, &w->step.close.op.future);
    if (w->result >= 0)
        w->result = w->step.close.op.future.result;
    CALL_END(task, w->result);
}

void ouro_file_write_all_start(struct ouro_write_all *w, ouro_file dir, const char *path,
                               const void *data, size_t len, unsigned flags, mode_t mode)
{
    struct shard *s = shard_self;

    *w = (struct ouro_write_all){
        .at = dir, .path = path, .data = data, .len = len, .flags = flags, .mode = mode};
    if (s == NULL || path == NULL || len > INT32_MAX || (data == NULL && len != 0) ||
        (flags & ~(unsigned)(OURO_WRITE_NEW | OURO_WRITE_SYNC)) != 0)
        op_refuse(&w->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    else
        call_start(s, (struct call *)&w->op, write_all_resume, "file_write_all", CALLER, false);
}
