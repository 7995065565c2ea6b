/* SPDX-License-Identifier: MIT */
/* Files under names that nobody has: temporary ones, and those that take another's place. */
#include "shard/op.h"

#include <ouro/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CALLER __builtin_return_address(0)

/* Nobody has a name of 64 random bits, or somebody makes fun of us. */
#define TRIES 10

static void random_name(char name[OURO_TEMP_NAME_BYTES])
{
    uint64_t x = 0;

    (void)!getrandom(&x, sizeof x, GRND_INSECURE);
    snprintf(name, OURO_TEMP_NAME_BYTES, OURO_TEMP_PREFIX "%016llx", (unsigned long long)x);
}

/* --- temporary files ---------------------------------------------------------------------------
 */

/* True when there is, or may be, a name to take away: an open can fail after it has made the file,
 * when no descriptor is left for it. */
static bool name_to_remove(const struct ouro_temp *t)
{
    return t->result < 0 ? t->result != -EEXIST : !t->named;
}

static void temp_resume(struct ouro_task *task)
{
    struct ouro_temp *t = OURO_FRAME(task, struct ouro_temp, task);

    OURO_BEGIN(task);
    if (!t->named) {
        ouro_open_at_start(&t->step.open, t->dir, ".", O_RDWR | O_TMPFILE, 0600);
        OURO_AWAIT(task, &t->step.open.op.future);
        t->result = t->step.open.op.future.result;
        if (t->result != -EOPNOTSUPP) {
            t->file = t->step.open.file;
            call_end(task, t->result);
            return;
        }
    }
    do {
        random_name(t->name);
        ouro_open_at_start(&t->step.open, t->dir, t->name, O_RDWR | O_CREAT | O_EXCL, 0600);
        OURO_AWAIT(task, &t->step.open.op.future);
        t->result = t->step.open.op.future.result;
    } while (t->result == -EEXIST && --t->tries != 0);
    t->file = t->step.open.file;
    if (name_to_remove(t)) {
        ouro_shield_enter();
        ouro_unlink_start(&t->step.path, t->dir, t->name);
        OURO_AWAIT(task, &t->step.path.op.future);
        ouro_shield_leave();
        if (t->result == 0 && t->step.path.op.future.result < 0) {
            t->result = t->step.path.op.future.result;
            ouro_file_close_start(&t->step.close, t->file);
            OURO_AWAIT(task, &t->step.close.op.future);
            t->file.id = 0;
        }
    }
    CALL_END(task, t->result);
}

static void temp_start(struct ouro_temp *t, ouro_file dir, bool named, const void *place)
{
    struct shard *s = shard_self;

    *t = (struct ouro_temp){.dir = dir, .named = named, .tries = TRIES};
    if (s == NULL)
        op_refuse(&t->op, -OURO_ENOSHARD);
    else
        call_start(s, (struct call *)&t->op, temp_resume, "temp", place, false);
}

void ouro_temp_start(struct ouro_temp *t, ouro_file dir)
{
    temp_start(t, dir, false, CALLER);
}

void ouro_temp_named_start(struct ouro_temp *t, ouro_file dir)
{
    temp_start(t, dir, true, CALLER);
}

int ouro_temp_open(ouro_file *out, ouro_file dir)
{
    struct ouro_temp t;
    int error;

    if (out == NULL)
        return -EINVAL;
    temp_start(&t, dir, false, CALLER);
    error = ouro_await(&t.op.future);
    *out = t.file;
    return error;
}

int ouro_temp_named(ouro_file *out, ouro_file dir, char name[OURO_TEMP_NAME_BYTES])
{
    struct ouro_temp t;
    int error;

    if (out == NULL || name == NULL)
        return -EINVAL;
    temp_start(&t, dir, true, CALLER);
    error = ouro_await(&t.op.future);
    *out = t.file;
    if (error == 0)
        memcpy(name, t.name, sizeof t.name);
    return error;
}

/* --- one file in another's place ----------------------------------------------------------------
 */

/* True when the name was somebody else's: nothing was opened. */
static bool taken(const struct ouro_replace *r)
{
    return r->result == -EEXIST && r->step.write.at.id == r->at.id;
}

static void replace_resume(struct ouro_task *task)
{
    struct ouro_replace *r = OURO_FRAME(task, struct ouro_replace, task);

    OURO_BEGIN(task);
    ouro_open_at_start(&r->step.open, r->at, r->parent, O_RDONLY | O_DIRECTORY, 0);
    OURO_AWAIT(task, &r->step.open.op.future);
    free(r->parent);
    r->result = r->step.open.op.future.result;
    if (r->result < 0) {
        call_end(task, r->result);
        return;
    }
    r->at = r->step.open.file;
    do {
        random_name(r->temp);
        ouro_file_write_all_start(&r->step.write, r->at, r->temp, r->data, r->len,
                                  OURO_WRITE_NEW | OURO_WRITE_SYNC, r->mode);
        OURO_AWAIT(task, &r->step.write.op.future);
        r->result = r->step.write.op.future.result;
    } while (taken(r) && --r->tries != 0);
    if (r->result == 0) {
        ouro_rename_start(&r->step.rename, r->at, r->temp, r->at, r->name,
                          (r->flags & OURO_WRITE_NEW) != 0 ? RENAME_NOREPLACE : 0);
        OURO_AWAIT(task, &r->step.rename.op.future);
        r->result = r->step.rename.op.future.result;
    }
    if (r->result == 0) {
        ouro_fsync_start(&r->step.rw, r->at);
        OURO_AWAIT(task, &r->step.rw.op.future);
        r->result = r->step.rw.op.future.result;
    } else if (r->tries != 0) { /* whatever failed, the file may be there */
        ouro_shield_enter();
        ouro_unlink_start(&r->step.path, r->at, r->temp);
        OURO_AWAIT(task, &r->step.path.op.future);
        ouro_shield_leave();
    }
    ouro_file_close_start(&r->step.close, r->at);
    OURO_AWAIT(task, &r->step.close.op.future);
    CALL_END(task, r->result);
}

/* The path in two: where the file is, and what it is called there. 0 or -errno. */
static int split(struct ouro_replace *r, const char *path)
{
    const char *slash = strrchr(path, '/');

    r->name = slash != NULL ? slash + 1 : path;
    if (r->name[0] == '\0')
        return slash != NULL ? -EISDIR : -ENOENT;
    r->parent = slash != NULL ? strndup(path, (size_t)(r->name - path)) : strdup(".");
    return r->parent == NULL ? -ENOMEM : 0;
}

void ouro_file_replace_start(struct ouro_replace *r, ouro_file dir, const char *path,
                             const void *data, size_t len, unsigned flags, mode_t mode)
{
    struct shard *s = shard_self;
    int error;

    *r = (struct ouro_replace){
        .at = dir, .data = data, .len = len, .flags = flags, .tries = TRIES, .mode = mode};
    if (s == NULL)
        error = -OURO_ENOSHARD;
    else if (path == NULL || len > INT32_MAX || (data == NULL && len != 0) ||
             (flags & ~(unsigned)OURO_WRITE_NEW) != 0)
        error = -EINVAL;
    else
        error = split(r, path);
    if (error != 0)
        op_refuse(&r->op, error);
    else
        call_start(s, (struct call *)&r->op, replace_resume, "file_replace", CALLER, false);
}
