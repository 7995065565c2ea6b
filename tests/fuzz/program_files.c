/* SPDX-License-Identifier: MIT */
/* Files whose content is known at any time: one actor at a time works on each. What a cancelled
 * call leaves behind is looked at, since it may have got to any point, but not beyond. */
#include "program.h"

static const char *path_of(const struct model_file *f, char path[256])
{
    snprintf(path, 256, "%s/%d-%s", program.directory, ouro_current_shard(), f->name);
    return path;
}

static char *random_data(struct actor *a, size_t len)
{
    char *data = malloc(len);

    must(data != NULL);
    pattern_fill(data, len, random_next(&a->random), 0);
    return data;
}

/* --- looking ---------------------------------------------------------------------------------- */

/* All of the file by its path, whatever was cancelled. NULL: there is none. */
static char *content(const struct model_file *f, size_t *len)
{
    char path[256];
    void *data = NULL;
    int error;

    must_be(ouro_shield_enter(), 0);
    while (cut_short(error = ouro_file_read_all(OURO_CWD, path_of(f, path), 1 << 20, &data, len)))
        continue;
    must_be(ouro_shield_leave(), 0);
    must(error == 0 || error == -ENOENT);
    return data;
}

static void verify(const struct model_file *f)
{
    size_t len = 0;
    char *data = content(f, &len);

    must_be(data != NULL, f->exists);
    if (data != NULL) {
        must_be(len, f->len);
        must(memcmp(data, f->data, len) == 0);
    }
    free(data);
}

/* After a call that may have been cut short: the old content is there, if that is possible, or
 * `len` bytes of the new one. The model learns which. */
static void verify_either(struct model_file *f, const char *data, size_t len, bool old_too)
{
    size_t n = 0;
    char *found = content(f, &n);
    bool same =
        found == NULL ? !f->exists : f->exists && n == f->len && memcmp(found, f->data, n) == 0;

    if (!(old_too && same)) {
        must(found != NULL);
        must_be(n, len);
        must(memcmp(found, data, n) == 0);
        f->exists = true;
        f->len = n;
        memcpy(f->data, data, n);
    }
    free(found);
}

/* --- one open file ---------------------------------------------------------------------------- */

static void file_open(struct actor *a, struct model_file *f)
{
    char path[256];
    struct ouro_open o;
    int error;

    ouro_open_start(&o, path_of(f, path), O_RDWR | O_CREAT, 0600);
    error = wait_some_way(a, &o.op.future);
    must_explain(error, false);
    if (error == 0) {
        f->open = true;
        f->handle = o.file;
        f->len = f->exists ? f->len : 0;
        f->exists = true;
    } else if (!f->exists) { /* made, and closed again, perhaps */
        size_t len = 0;
        char *found = content(f, &len);

        must_be(len, 0);
        f->exists = found != NULL;
        f->len = 0;
        free(found);
    }
}

static void model_write(struct model_file *f, const char *data, size_t len, size_t offset)
{
    if (len == 0)
        return;
    if (offset > f->len)
        memset(f->data + f->len, 0, offset - f->len);
    memcpy(f->data + offset, data, len);
    f->len = offset + len > f->len ? offset + len : f->len;
}

static void file_write(struct actor *a, struct model_file *f)
{
    size_t len = some_size(a, FILE_MOST / 2), offset = below(a, FILE_MOST / 2), done = 0;
    char *data = random_data(a, len);
    struct ouro_full full;
    struct ouro_rw w;
    struct iovec iov[2] = {{data, len / 3}, {data + len / 3, len - len / 3}};
    int n;

    switch (below(a, 3)) {
    case 0:
        ouro_write_start(&w, f->handle, data, len, offset);
        n = wait_some_way(a, &w.op.future);
        break;
    case 1:
        ouro_writev_start(&w, f->handle, iov, 2, offset);
        n = wait_some_way(a, &w.op.future);
        break;
    default:
        ouro_write_full_start(&full, f->handle, data, len, offset);
        n = wait_some_way(a, &full.op.future);
        done = full.done;
        must(n < 0 || (size_t)n == len);
    }
    must_explain(n, false);
    must(n <= (int)len && done <= len);
    model_write(f, data, n > 0 ? (size_t)n : done, offset);
    free(data);
}

static void file_read(struct actor *a, struct model_file *f)
{
    size_t len = some_size(a, FILE_MOST), offset = below(a, FILE_MOST);
    char *data = malloc(len);
    struct ouro_full full;
    struct ouro_rw r;
    int n;

    must(data != NULL);
    if (one_in(a, 2)) {
        ouro_read_start(&r, f->handle, data, len, offset);
        n = wait_some_way(a, &r.op.future);
    } else {
        ouro_read_full_start(&full, f->handle, data, len, offset);
        n = wait_some_way(a, &full.op.future);
        if (n >= 0) /* all that there is */
            must_be(n, offset >= f->len ? 0 : f->len - offset < len ? f->len - offset : len);
    }
    must_explain(n, false);
    if (n > 0) {
        must(offset + (size_t)n <= f->len && (size_t)n <= len);
        must(memcmp(data, f->data + offset, (size_t)n) == 0);
    }
    free(data);
}

static void file_truncate(struct actor *a, struct model_file *f)
{
    size_t len = below(a, FILE_MOST);
    struct ouro_rw t;
    int error;

    ouro_ftruncate_start(&t, f->handle, len);
    error = wait_some_way(a, &t.op.future);
    must_explain(error, false);
    if (error != 0)
        return;
    if (len > f->len)
        memset(f->data + f->len, 0, len - f->len);
    f->len = len;
}

static void file_look(struct actor *a, struct model_file *f)
{
    struct ouro_stat_call c;
    struct ouro_rw s;
    int error;

    ouro_file_stat_start(&c, f->handle);
    error = wait_some_way(a, &c.op.future);
    must_explain(error, false);
    if (error == 0)
        must_be(c.st.size, f->len);
    ouro_fsync_start(&s, f->handle);
    must_explain(wait_some_way(a, &s.op.future), false);
}

static void file_close(struct model_file *f)
{
    must_be(ouro_file_close(f->handle), 0);
    must_be(ouro_file_close(f->handle), -EBADF);
    f->open = false;
}

/* --- names ------------------------------------------------------------------------------------ */

static void file_rename(struct actor *a, struct model_file *f)
{
    struct model_file other = {0};
    char from[256], to[256];
    struct ouro_rename r;
    int error;

    snprintf(other.name, sizeof other.name, "f%llu", (unsigned long long)here()->serial++);
    ouro_rename_start(&r, OURO_CWD, path_of(f, from), OURO_CWD, path_of(&other, to), 0);
    error = wait_some_way(a, &r.op.future);
    must_explain(error, error == -ENOENT && !f->exists);
    must(error != 0 || f->exists);
    if (error == 0)
        memcpy(f->name, other.name, sizeof f->name);
}

static void file_unlink(struct actor *a, struct model_file *f)
{
    char path[256];
    struct ouro_path p;
    int error;

    if (f->open)
        file_close(f);
    ouro_unlink_start(&p, OURO_CWD, path_of(f, path));
    error = wait_some_way(a, &p.op.future);
    must_explain(error, error == -ENOENT && !f->exists);
    must(error != 0 || f->exists);
    if (error == 0) {
        f->exists = false;
        f->len = 0;
    }
}

static struct model_file *file_some(struct actor *a)
{
    struct model_file *f = &here()->file[below(a, FILES)];

    if (f->busy)
        return NULL;
    f->busy = true;
    if (f->name[0] == '\0')
        snprintf(f->name, sizeof f->name, "f%llu", (unsigned long long)here()->serial++);
    return f;
}

void step_file(struct actor *a)
{
    static void (*const on_open[])(struct actor *, struct model_file *) = {
        file_write, file_write, file_write, file_read, file_read, file_truncate, file_look};
    struct model_file *f = file_some(a);
    unsigned what = below(a, 12);

    if (f == NULL)
        return;
    if (what == 10)
        file_rename(a, f);
    else if (what == 11)
        file_unlink(a, f);
    else if (!f->open)
        file_open(a, f);
    else if (what < array_size(on_open))
        on_open[what](a, f);
    else
        file_close(f);
    if (one_in(a, 3))
        verify(f);
    f->busy = false;
}

/* --- whole files ------------------------------------------------------------------------------ */

static void whole_written(struct actor *a, struct model_file *f, bool replace)
{
    size_t len = some_size(a, FILE_MOST);
    char *data = random_data(a, len), path[256];
    union {
        struct ouro_write_all write;
        struct ouro_replace replace;
    } u;
    size_t done = len;
    int error;

    if (replace) {
        ouro_file_replace_start(&u.replace, OURO_CWD, path_of(f, path), data, len, 0, 0600);
        error = wait_some_way(a, &u.replace.op.future);
    } else {
        ouro_file_write_all_start(&u.write, OURO_CWD, path_of(f, path), data, len, 0, 0600);
        error = wait_some_way(a, &u.write.op.future);
        done = error == 0 ? len : u.write.done;
    }
    must_explain(error, false);
    verify_either(f, data, done, error != 0);
    free(data);
}

void step_whole_file(struct actor *a)
{
    struct model_file *f = file_some(a);

    if (f == NULL)
        return;
    if (f->open)
        file_close(f);
    whole_written(a, f, one_in(a, 3));
    verify(f);
    f->busy = false;
}

/* Nothing but the files of the model is there: no temporary one was left. */
void files_close(void)
{
    char path[256];
    struct model_file *f;

    for (unsigned i = 0; i < FILES; i++) {
        f = &here()->file[i];
        must(!f->busy);
        verify(f);
        if (f->open)
            file_close(f);
        if (f->exists)
            must_be(unlink(path_of(f, path)), 0);
    }
}
