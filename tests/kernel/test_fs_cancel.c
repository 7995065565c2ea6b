/* SPDX-License-Identifier: MIT */
/* Every call of the file system cut short, after every number of turns, by cancellation and by a
 * deadline, in a fiber and in a stackless task: it has been done or it has not, and its result says
 * which; no descriptor, memory or other name is left. */
#include "support/fs_support.h"

#include <linux/falloc.h>
#include <stdlib.h>

/* The old content and the new: of a size that takes several reads. */
#define BYTES 40000
static char old_content[BYTES], new_content[BYTES];

static struct {
    ouro_file dir, file;
    union {
        struct ouro_open open;
        struct ouro_path path;
        struct ouro_rename rename;
        struct ouro_readlink readlink;
        struct ouro_stat_call stat;
        struct ouro_rw rw;
        struct ouro_full full;
        struct ouro_read_all read_all;
        struct ouro_write_all write_all;
        struct ouro_replace replace;
        struct ouro_temp temp;
    } u;
    char buf[BYTES];
} x;

/* Starts on a directory with the files "f" (also open) and "l", a link. */
static struct ouro_future *open_start(void *arg)
{
    (void)arg;
    ouro_open_at_start(&x.u.open, x.dir, "f", O_RDONLY, 0);
    return &x.u.open.op.future;
}

static struct ouro_future *unlink_start(void *arg)
{
    (void)arg;
    ouro_unlink_start(&x.u.path, x.dir, "f");
    return &x.u.path.op.future;
}

static struct ouro_future *mkdir_start(void *arg)
{
    (void)arg;
    ouro_mkdir_start(&x.u.path, x.dir, "new", 0700);
    return &x.u.path.op.future;
}

static struct ouro_future *symlink_start(void *arg)
{
    (void)arg;
    ouro_symlink_start(&x.u.path, "f", x.dir, "new");
    return &x.u.path.op.future;
}

static struct ouro_future *rename_start(void *arg)
{
    (void)arg;
    ouro_rename_start(&x.u.rename, x.dir, "f", x.dir, "new", 0);
    return &x.u.rename.op.future;
}

static struct ouro_future *link_start(void *arg)
{
    (void)arg;
    ouro_link_start(&x.u.rename, x.dir, "f", x.dir, "new", 0);
    return &x.u.rename.op.future;
}

static struct ouro_future *readlink_start(void *arg)
{
    (void)arg;
    ouro_readlink_start(&x.u.readlink, x.dir, "l", x.buf, sizeof x.buf);
    return &x.u.readlink.op.future;
}

static struct ouro_future *stat_start(void *arg)
{
    (void)arg;
    ouro_stat_start(&x.u.stat, x.dir, "f", 0);
    return &x.u.stat.op.future;
}

static struct ouro_future *file_stat_start(void *arg)
{
    (void)arg;
    ouro_file_stat_start(&x.u.stat, x.file);
    return &x.u.stat.op.future;
}

static struct ouro_future *truncate_start(void *arg)
{
    (void)arg;
    ouro_ftruncate_start(&x.u.rw, x.file, 5);
    return &x.u.rw.op.future;
}

static struct ouro_future *allocate_start(void *arg)
{
    (void)arg;
    ouro_fallocate_start(&x.u.rw, x.file, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
    return &x.u.rw.op.future;
}

static struct ouro_future *read_full_start(void *arg)
{
    (void)arg;
    ouro_read_full_start(&x.u.full, x.file, x.buf, BYTES, 0);
    return &x.u.full.op.future;
}

static struct ouro_future *write_full_start(void *arg)
{
    (void)arg;
    ouro_write_full_start(&x.u.full, x.file, new_content, BYTES, 0);
    return &x.u.full.op.future;
}

static struct ouro_future *read_all_start(void *arg)
{
    (void)arg;
    ouro_file_read_all_start(&x.u.read_all, x.dir, "f", BYTES);
    return &x.u.read_all.op.future;
}

static struct ouro_future *write_all_start(void *arg)
{
    (void)arg;
    ouro_file_write_all_start(&x.u.write_all, x.dir, "f", new_content, BYTES, OURO_WRITE_SYNC,
                              0600);
    return &x.u.write_all.op.future;
}

static struct ouro_future *replace_start(void *arg)
{
    (void)arg;
    ouro_file_replace_start(&x.u.replace, x.dir, "f", new_content, BYTES, 0, 0600);
    return &x.u.replace.op.future;
}

static struct ouro_future *temp_start(void *arg)
{
    (void)arg;
    ouro_temp_start(&x.u.temp, x.dir);
    return &x.u.temp.op.future;
}

static struct ouro_future *temp_named_start(void *arg)
{
    (void)arg;
    ouro_temp_named_start(&x.u.temp, x.dir);
    return &x.u.temp.op.future;
}

/* --- what is right afterwards ------------------------------------------------------------------
 */

static bool there(const char *name)
{
    struct stat st;

    return lstat(in_dir(name), &st) == 0;
}

static bool content_is(const char *content)
{
    static char in[BYTES + 1];
    int fd = open(in_dir("f"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, in, sizeof in);

    close(fd);
    return n == BYTES && memcmp(in, content, BYTES) == 0;
}

static void open_right(int n)
{
    must((n == 0) == (x.u.open.file.id != 0));
    if (n == 0)
        must_be(ouro_file_close(x.u.open.file), 0);
}

static void unlink_right(int n)
{
    must(there("f") == (n != 0));
}

static void new_right(int n)
{
    must(there("new") == (n == 0));
    must(there("f"));
}

static void rename_right(int n)
{
    must(there("new") == (n == 0));
    must(there("f") == (n != 0));
}

static void readlink_right(int n)
{
    must(n < 0 || (n == 1 && strcmp(x.buf, "f") == 0));
}

static void stat_right(int n)
{
    must_be(x.u.stat.st.size, n == 0 ? BYTES : 0);
}

static void truncate_right(int n)
{
    must_be(plain_stat(in_dir("f")).st_size, n == 0 ? 5 : BYTES);
}

static void nothing_to_see(int n)
{
    (void)n;
}

static void read_full_right(int n)
{
    must(n < 0 || n == BYTES);
    must(memcmp(x.buf, old_content, x.u.full.done) == 0);
}

static void write_full_right(int n)
{
    must(n < 0 || content_is(new_content));
}

static void read_all_right(int n)
{
    must((n == 0) == (x.u.read_all.data != NULL));
    must_be(x.u.read_all.len, n == 0 ? BYTES : 0);
    must(n != 0 || memcmp(x.u.read_all.data, old_content, BYTES) == 0);
    free(x.u.read_all.data);
}

static void write_all_right(int n)
{
    must(n < 0 || content_is(new_content));
    must(n == 0 || x.u.write_all.done <= BYTES);
}

static void replace_right(int n)
{
    must(content_is(new_content) || (n != 0 && content_is(old_content)));
    must_be(dir_names(), 2);
}

static void temp_right(int n)
{
    must((n == 0) == (x.u.temp.file.id != 0));
    must_be(dir_names(), x.u.temp.named && n == 0 ? 3 : 2);
    if (n == 0)
        must_be(ouro_file_close(x.u.temp.file), 0);
}

static const struct kind {
    const char *name;
    struct ouro_future *(*start)(void *arg);
    void (*right)(int result);
} kinds[] = {
    {"open_at", open_start, open_right},
    {"unlink", unlink_start, unlink_right},
    {"mkdir", mkdir_start, new_right},
    {"symlink", symlink_start, new_right},
    {"rename", rename_start, rename_right},
    {"link", link_start, new_right},
    {"readlink", readlink_start, readlink_right},
    {"stat", stat_start, stat_right},
    {"file_stat", file_stat_start, stat_right},
    {"ftruncate", truncate_start, truncate_right},
    {"fallocate", allocate_start, nothing_to_see},
    {"read_full", read_full_start, read_full_right},
    {"write_full", write_full_start, write_full_right},
    {"read_all", read_all_start, read_all_right},
    {"write_all", write_all_start, write_all_right},
    {"replace", replace_start, replace_right},
    {"temp", temp_start, temp_right},
    {"temp_named", temp_named_start, temp_right},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void scene_open(void)
{
    int fd;

    memset(&x, 0, sizeof x);
    dir_make();
    fd = open(in_dir("f"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must_be(write(fd, old_content, BYTES), BYTES);
    close(fd);
    must_be(symlink("f", in_dir("l")), 0);
    x.dir = dir_open();
    must_be(ouro_open(&x.file, in_dir("f"), O_RDWR, 0), 0);
}

/* A shard's descriptors are its files, or less: some are direct. */
static void scene_close(const struct kind *kind, int result, int error)
{
    if (result < 0 && result != error) {
        fprintf(stderr, "%s: %d\n", kind->name, result);
        must_be(result, error);
    }
    kind->right(result);
    must_be(files_open(), 2);
    must_be(ouro_file_close(x.file), 0);
    must_be(ouro_file_close(x.dir), 0);
}

/* --- cut short ---------------------------------------------------------------------------------
 */

static int task_cancelled_main(void *arg)
{
    unsigned done = 0, cut = 0;

    (void)arg;
    for (unsigned k = 0; k < KINDS; k++)
        for (enum style style = 0; style < STYLES; style++)
            for (unsigned after = 0; after < 12; after++) {
                struct waiter w = {.start = kinds[k].start};

                scene_open();
                waiter_spawn(&w, style, NULL);
                turns(after);
                waiter_cancel(&w);
                until(w.ended);
                scene_close(&kinds[k], w.result, -ECANCELED);
                done += w.result >= 0;
                cut += w.result < 0;
            }
    must(done > 0 && cut > 0);
    return 0;
}

static int future_cancelled_main(void *arg)
{
    (void)arg;
    for (unsigned k = 0; k < KINDS; k++)
        for (unsigned after = 0; after < 8; after++) {
            struct ouro_future *f;

            scene_open();
            f = kinds[k].start(NULL);
            turns(after);
            ouro_cancel(f);
            scene_close(&kinds[k], ouro_await(f), -ECANCELED);
        }
    return 0;
}

/* Past already, and at any moment soon. */
static int deadline_main(void *arg)
{
    (void)arg;
    for (unsigned k = 0; k < KINDS; k++)
        for (unsigned i = 0; i < 12; i++) {
            struct waiter w = {.start = kinds[k].start};

            scene_open();
            w.deadline_ns = i < 2 ? 1 : ouro_now_precise_ns() + i * 20 * US;
            waiter_spawn(&w, i % 2 == 0 ? FIBER : STACKLESS, NULL);
            until(w.ended);
            scene_close(&kinds[k], w.result, -ETIMEDOUT);
        }
    return 0;
}

/* A task that is cancelled already starts none of them: everything is as it was. */
static int cancelled_task(void *arg)
{
    const struct kind *kind = *(const struct kind **)arg;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    return ouro_await(kind->start(NULL));
}

static int cancelled_before_main(void *arg)
{
    (void)arg;
    for (unsigned k = 0; k < KINDS; k++) {
        const struct kind *kind = &kinds[k];
        ouro_fiber fiber;
        int value = 0;

        scene_open();
        must_be(ouro_spawn_joinable(NULL, cancelled_task, &kind, sizeof kind, &fiber), 0);
        turns(1);
        must_be(ouro_fiber_cancel(fiber), 0);
        must_be(ouro_join(fiber, &value), OURO_END_CANCELLED);
        must_be(value, -ECANCELED);
        must_be(dir_names(), 2);
        must(content_is(old_content));
        scene_close(kind, value, -ECANCELED);
    }
    return 0;
}

/* Left without being waited for: the block drains it. */
static int drained_main(void *arg)
{
    (void)arg;
    for (unsigned after = 0; after < 12; after++) {
        scene_open();
        {
            OURO_OP(struct ouro_replace, r);

            ouro_file_replace_start(&r, x.dir, "f", new_content, BYTES, 0, 0600);
            turns(after);
        }
        must(content_is(new_content) || content_is(old_content));
        must_be(dir_names(), 2);
        must_be(files_open(), 2);
        must_be(ouro_file_close(x.file), 0);
        must_be(ouro_file_close(x.dir), 0);
    }
    return 0;
}

/* Blocked in the kernel until cancelled: in the open and in the read of a FIFO with nobody at its
 * other end. O_CREAT keeps a worker, which cancellation reaches. */
static int blocked_main(void *arg)
{
    struct ouro_read_all r;
    struct ouro_write_all w;
    int fd;

    (void)arg;
    dir_make();
    must_be(mkfifo(in_dir("p"), 0600), 0);
    ouro_file_write_all_start(&w, OURO_CWD, in_dir("p"), "1", 1, 0, 0600);
    must_be(ouro_await_for(&w.op.future, 20 * MS), -ETIMEDOUT);
    fd = open(in_dir("p"), O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    ouro_file_read_all_start(&r, OURO_CWD, in_dir("p"), 100);
    must_be(write(fd, "some", 4), 4);
    must_be(ouro_await_for(&r.op.future, 20 * MS), -ETIMEDOUT);
    must(r.data == NULL);
    close(fd);
    must_be(files_open(), 0);
    return 0;
}

ON_BOTH_TABLES(task_cancelled)
ON_BOTH_TABLES(future_cancelled)
ON_BOTH_TABLES(deadline)
ON_BOTH_TABLES(cancelled_before)
ON_BOTH_TABLES(drained)
ON_BOTH_TABLES(blocked)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task_cancelled), cmocka_unit_test(future_cancelled),
        cmocka_unit_test(deadline),       cmocka_unit_test(cancelled_before),
        cmocka_unit_test(drained),        cmocka_unit_test(blocked),
    };

    memset(old_content, 'o', BYTES);
    memset(new_content, 'n', BYTES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
