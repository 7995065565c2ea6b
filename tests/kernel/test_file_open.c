/* SPDX-License-Identifier: MIT */
/* Opening and closing files: every error of open(2) comes through, handles are good for one life,
 * and both can be cut short or meet operations in flight. */
#include "support/net_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ouro/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shard/shard.h"

static void fails(const char *path, int flags, int error)
{
    ouro_file f = {99};

    must_be(ouro_open(&f, path, flags, 0600), error);
    must_be(f.id, 0);
    must_be(shard_self->slots.open[SLOT_FILE], 0);
}

static int errors_main(void *arg)
{
    char longest[5000];
    const char *file = temp_path("file"), *link = temp_path("link");
    struct ouro_open o;
    ouro_file f;

    (void)arg;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fails("/nonexistent/file", O_RDONLY, -ENOENT);
    fails("", O_RDONLY, -ENOENT);
    fails("/dev/null/x", O_RDONLY, -ENOTDIR);
    fails("/tmp", O_WRONLY, -EISDIR);
    fails(longest, O_RDONLY, -ENAMETOOLONG);
    must_be(ouro_open(&f, file, O_WRONLY | O_CREAT | O_EXCL, 0600), 0);
    must_be(ouro_file_close(f), 0);
    fails(file, O_WRONLY | O_CREAT | O_EXCL, -EEXIST);
    fails(file, O_RDONLY | O_DIRECTORY, -ENOTDIR);
    must_be(symlink(file, link), 0);
    fails(link, O_RDONLY | O_NOFOLLOW, -ELOOP);
    fails((const char *)(uintptr_t)8, O_RDONLY, -EFAULT);
    fails(NULL, O_RDONLY, -EINVAL);
    must_be(ouro_open(NULL, file, O_RDONLY, 0), -EINVAL);
    ouro_open_start(&o, NULL, O_RDONLY, 0);
    must(ouro_done(&o.op.future));
    must_be(ouro_result(&o.op.future), -EINVAL);
    return 0;
}

static int modes_main(void *arg)
{
    const char *path = temp_path("modes");
    struct stat st;
    mode_t before = umask(022);
    ouro_file f;

    (void)arg;
    must_be(ouro_open(&f, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666), 0);
    must_be(stat(path, &st), 0);
    must_be(st.st_mode & 07777, 0644);
    must_be(ouro_write(f, "12345678", 8, 0), 8);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, path, O_WRONLY | O_APPEND, 0), 0);
    must_be(ouro_write(f, "9", 1, 0), 1); /* appends, as pwrite(2) on Linux does */
    must_be(ouro_file_close(f), 0);
    must_be(stat(path, &st), 0);
    must_be(st.st_size, 9);
    must_be(ouro_open(&f, path, O_WRONLY | O_TRUNC, 0), 0);
    must_be(stat(path, &st), 0);
    must_be(st.st_size, 0);
    must_be(ouro_file_close(f), 0);
    umask(before);
    return 0;
}

/* Not passed on to children, whatever sort of descriptor it is. */
static int not_inherited_main(void *arg)
{
    ouro_file f;
    DIR *dir;
    struct dirent *e;

    (void)arg;
    must_be(ouro_open(&f, "/dev/zero", O_RDONLY, 0), 0);
    dir = opendir("/proc/self/fd");
    while ((e = readdir(dir)) != NULL) {
        char text[300], target[64];
        ssize_t n;

        snprintf(text, sizeof text, "/proc/self/fd/%s", e->d_name);
        n = readlink(text, target, sizeof target - 1);
        if (n > 0 && strncmp(target, "/dev/zero", (size_t)n) == 0)
            must(fcntl(atoi(e->d_name), F_GETFD) & FD_CLOEXEC);
    }
    closedir(dir);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* Cut short at every turn: it is open, or it is not. */
static int cancel_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 60; i++) {
        struct ouro_open o;
        int n;

        ouro_open_start(&o, i % 2 ? "/dev/null" : temp_path("cut"), O_RDWR | O_CREAT, 0600);
        for (unsigned k = 0; k < i / 2 % 4; k++)
            turns(1);
        ouro_cancel(&o.op.future);
        n = ouro_await(&o.op.future);
        must(n == 0 || n == -ECANCELED);
        must((n == 0) == (o.file.id != 0));
        if (n == 0)
            must_be(ouro_file_close(o.file), 0);
        must_be(shard_self->slots.open[SLOT_FILE], 0);
    }
    return 0;
}

/* A FIFO whose other end never comes keeps a worker of the kernel (which O_CREAT always takes);
 * cancellation reaches it. */
static int cancel_blocked_main(void *arg)
{
    const char *path = temp_path("fifo");
    struct ouro_open o;

    (void)arg;
    must_be(mkfifo(path, 0600), 0);
    ouro_open_start(&o, path, O_RDONLY | O_CREAT, 0600);
    must_be(ouro_await_for(&o.op.future, 20 * MS), -ETIMEDOUT);
    must_be(o.file.id, 0);
    {
        OURO_OP(struct ouro_open, again);

        ouro_open_start(&again, path, O_RDONLY | O_CREAT, 0600);
        turns(3);
    }
    must_be(shard_self->slots.open[SLOT_FILE], 0);
    return 0;
}

/* Reads from a pipe-like file that has nothing: closed under them. */
static int close_in_flight_main(void *arg)
{
    const char *path = temp_path("fifo2");
    char in[4][16];
    struct ouro_rw r[4];
    struct ouro_close c;
    ouro_file f;

    (void)arg;
    must_be(mkfifo(path, 0600), 0);
    for (int round = 0; round < 6; round++) {
        must_be(ouro_open(&f, path, O_RDWR, 0), 0);
        memset(in, '.', sizeof in);
        for (int i = 0; i < 4; i++)
            ouro_read_start(&r[i], f, in[i], sizeof in[i], 0);
        turns((unsigned)round % 3);
        ouro_file_close_start(&c, f);
        must_be(ouro_file_close(f), -EBADF);
        must_be(ouro_await(&c.op.future), 0);
        for (int i = 0; i < 4; i++) {
            must(ouro_done(&r[i].op.future));
            must_be(ouro_result(&r[i].op.future), -ECANCELED);
            must_be(in[i][0], '.');
        }
        must_be(ouro_read(f, in, 1, 0), -EBADF);
    }
    return 0;
}

/* Reads and syncs of a real file that are under way end in their own time; the close waits for
 * them. */
static int close_under_way_main(void *arg)
{
    enum { N = 32, EACH = 65536 };
    static uint8_t out[N][EACH];
    struct ouro_rw w[N], s;
    ouro_file f;

    (void)arg;
    for (int round = 0; round < 4; round++) {
        must_be(ouro_open(&f, temp_path("under_way"), O_RDWR | O_CREAT, 0600), 0);
        for (int i = 0; i < N; i++)
            ouro_write_start(&w[i], f, out[i], EACH, (uint64_t)i * EACH);
        ouro_fsync_start(&s, f);
        turns((unsigned)round % 2);
        must_be(ouro_file_close(f), 0);
        for (int i = 0; i < N; i++) {
            must(ouro_done(&w[i].op.future));
            must(ouro_result(&w[i].op.future) == EACH ||
                 ouro_result(&w[i].op.future) == -ECANCELED);
        }
        must(ouro_done(&s.op.future));
    }
    return 0;
}

static ouro_file foreign;

static int use_foreign(void *arg)
{
    char in[4];

    (void)arg;
    if (ouro_current_shard() == 0)
        return 0;
    must_be(ouro_read(foreign, in, 1, 0), -OURO_EOTHERSHARD);
    must_be(ouro_fsync(foreign), -OURO_EOTHERSHARD);
    must_be(ouro_file_close(foreign), -OURO_EOTHERSHARD);
    return 0;
}

static int other_shard_main(void *arg)
{
    (void)arg;
    must_be(ouro_open(&foreign, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_on_each_shard(use_foreign, NULL, "foreign", NULL), 0);
    must_be(ouro_file_close(foreign), 0);
    return 0;
}

static int cancelled(void *arg)
{
    ouro_file open_one = *(ouro_file *)arg, f = {9};
    char in[4];

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_open(&f, "/dev/null", O_RDONLY, 0), -ECANCELED);
    must_be(f.id, 0);
    must_be(ouro_read(open_one, in, 1, 0), -ECANCELED);
    must_be(ouro_fsync(open_one), -ECANCELED);
    must_be(ouro_file_close(open_one), 0);
    return 0;
}

static int cancelled_task_main(void *arg)
{
    ouro_file f;
    ouro_fiber fiber;

    (void)arg;
    must_be(ouro_open(&f, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_spawn_joinable(NULL, cancelled, &f, sizeof f, &fiber), 0);
    turns(1);
    must_be(ouro_fiber_cancel(fiber), 0);
    must_be(ouro_join(fiber, NULL), OURO_END_CANCELLED);
    must_be(ouro_file_close(f), -EBADF);
    return 0;
}

static void off_a_shard(void **state)
{
    ouro_file f = {5};
    char in[4];

    (void)state;
    assert_int_equal(ouro_open(&f, "/dev/null", O_RDONLY, 0), -OURO_ENOSHARD);
    assert_int_equal(f.id, 0);
    assert_int_equal(ouro_read(f, in, 1, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_write(f, in, 1, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_readv(f, NULL, 0, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_writev(f, NULL, 0, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_fsync(f), -OURO_ENOSHARD);
    assert_int_equal(ouro_fdatasync(f), -OURO_ENOSHARD);
    assert_int_equal(ouro_file_close(f), -OURO_ENOSHARD);
}

ON_ONE_SHARD(errors)
ON_ONE_SHARD(modes)
ON_ONE_SHARD(not_inherited)
ON_ONE_SHARD(cancel)
ON_ONE_SHARD(cancel_blocked)
ON_ONE_SHARD(close_in_flight)
ON_ONE_SHARD(close_under_way)
ON_ONE_SHARD(cancelled_task)

static void other_shard(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, other_shard_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),          cmocka_unit_test(modes),
        cmocka_unit_test(not_inherited),   cmocka_unit_test(cancel),
        cmocka_unit_test(cancel_blocked),  cmocka_unit_test(close_in_flight),
        cmocka_unit_test(close_under_way), cmocka_unit_test(other_shard),
        cmocka_unit_test(cancelled_task),  cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
