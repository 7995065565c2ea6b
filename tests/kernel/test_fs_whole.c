/* SPDX-License-Identifier: MIT */
/* Whole files in one call: read whatever their size is said to be, written in place or in another's
 * place; and reads and writes that go on until all has moved. */
#include "support/fs_support.h"

#include <stdlib.h>

/* --- reading ---------------------------------------------------------------------------------- */

static void must_read(const char *path, size_t max, const void *expected, size_t n)
{
    void *data;
    size_t len;

    must_be(ouro_file_read_all(OURO_CWD, path, max, &data, &len), 0);
    must_be(len, n);
    must(memcmp(data, expected, n) == 0);
    must_be(((char *)data)[n], 0);
    free(data);
}

static void must_not_read(const char *path, size_t max, int error)
{
    void *data = &data;
    size_t len = 9;

    must_be(ouro_file_read_all(OURO_CWD, path, max, &data, &len), error);
    must(data == NULL);
    must_be(len, 0);
    must_be(files_open(), 0);
}

/* Around the sizes at which more room is made, and around the limit. */
static int read_sizes_main(void *arg)
{
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 16386, 32768, 100000};
    static uint8_t data[100000];

    (void)arg;
    dir_make();
    pattern_fill(data, sizeof data, 3, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i];

        must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), data, n, 0, 0600), 0);
        must_read(in_dir("f"), n, data, n);
        must_read(in_dir("f"), n + 1, data, n);
        must_read(in_dir("f"), INT32_MAX - 1, data, n);
        if (n != 0) {
            must_not_read(in_dir("f"), n - 1, -EFBIG);
            must_not_read(in_dir("f"), 0, -EFBIG);
        }
    }
    return 0;
}

static int read_errors_main(void *arg)
{
    struct ouro_read_all r;
    void *data;
    size_t len;

    (void)arg;
    dir_make();
    must_not_read(in_dir("none"), 100, -ENOENT);
    must_not_read(dir_path(), 100, -EISDIR);
    must_not_read(NULL, 100, -EINVAL);
    must_not_read(in_dir("none"), INT32_MAX, -EINVAL);
    must_not_read(in_dir("none"), SIZE_MAX, -EINVAL);
    must_not_read("/dev/zero", 1000000, -EFBIG);
    must_be(ouro_file_read_all(OURO_CWD, "x", 1, NULL, &len), -EINVAL);
    must_be(ouro_file_read_all(OURO_CWD, "x", 1, &data, NULL), -EINVAL);
    must_be(ouro_file_read_all((ouro_file){0}, "x", 1, &data, &len), -EBADF);
    ouro_file_read_all_start(&r, OURO_CWD, NULL, 1);
    must(ouro_done(&r.op.future));
    must(r.data == NULL);
    return 0;
}

/* Size 0, they say, and in several reads. */
static int read_proc_main(void *arg)
{
    char *data;
    size_t len;

    (void)arg;
    must_be(plain_stat("/proc/self/smaps").st_size, 0);
    must_be(ouro_file_read_all(OURO_CWD, "/proc/self/smaps", 1 << 22, (void **)&data, &len), 0);
    must(len > 4096);
    must_be(strlen(data), len);
    must(strstr(data, "[vsyscall]\n") != NULL || strstr(data, "[vdso]\n") != NULL);
    must_be(data[len - 1], '\n');
    free(data);
    must_not_read("/proc/self/smaps", 4000, -EFBIG);
    must_be(ouro_file_read_all(OURO_CWD, "/proc/sys/kernel/ostype", 100, (void **)&data, &len), 0);
    must(strcmp(data, "Linux\n") == 0);
    free(data);
    return 0;
}

/* A file that is written to, and cut, while it is read: an end of it comes, as of some moment. */
static int changes_size(void *arg)
{
    ouro_file f = *(ouro_file *)arg;
    static char more[50000];

    for (int i = 0; i < 60; i++) {
        must_be(ouro_write_full(f, more, sizeof more, (uint64_t)i * sizeof more), sizeof more);
        if (i % 8 == 7)
            must_be(ouro_ftruncate(f, 1000), 0);
    }
    return 0;
}

static int read_changing_main(void *arg)
{
    ouro_fiber fiber;
    ouro_file f;
    void *data;
    size_t len;
    int value;

    (void)arg;
    dir_make();
    must_be(ouro_open(&f, in_dir("f"), O_RDWR | O_CREAT, 0600), 0);
    must_be(ouro_spawn_joinable(NULL, changes_size, &f, sizeof f, &fiber), 0);
    for (int i = 0; i < 20; i++) {
        int error = ouro_file_read_all(OURO_CWD, in_dir("f"), 4 << 20, &data, &len);

        must_be(error, 0);
        must(len <= 60 * 50000);
        free(data);
    }
    must_be(ouro_join(fiber, &value), OURO_END_RETURNED);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_whole_main(void *arg)
{
    ouro_file dir;

    (void)arg;
    dir_make();
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), "old one", 7, 0, 0640), 0);
    must_be(plain_stat(in_dir("f")).st_mode & 07777, 0640);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), "new", 3, OURO_WRITE_SYNC, 0600), 0);
    must(plain_file_is(in_dir("f"), "new"));
    must_be(plain_stat(in_dir("f")).st_mode & 07777, 0640); /* in place */
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), "x", 1, OURO_WRITE_NEW, 0600), -EEXIST);
    must(plain_file_is(in_dir("f"), "new"));
    dir = dir_open();
    must_be(ouro_file_write_all(dir, "g", "1", 1, OURO_WRITE_NEW, 0600), 0);
    must_be(ouro_file_write_all(dir, "f", NULL, 0, 0, 0600), 0);
    must(plain_file_is(in_dir("f"), "") && plain_file_is(in_dir("g"), "1"));
    must_be(ouro_file_close(dir), 0);
    must_be(dir_names(), 2);
    return 0;
}

static int write_errors_main(void *arg)
{
    const size_t big = (size_t)INT32_MAX + 1;
    struct ouro_write_all w;

    (void)arg;
    dir_make();
    must_be(ouro_file_write_all(OURO_CWD, in_dir("none/f"), "1", 1, 0, 0600), -ENOENT);
    must_be(ouro_file_write_all(OURO_CWD, dir_path(), "1", 1, 0, 0600), -EISDIR);
    must_be(ouro_file_write_all(OURO_CWD, NULL, "1", 1, 0, 0600), -EINVAL);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), NULL, 1, 0, 0600), -EINVAL);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), "1", big, 0, 0600), -EINVAL);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), "1", 1, 64, 0600), -EINVAL);
    must_be(ouro_file_write_all((ouro_file){0}, "f", "1", 1, 0, 0600), -EBADF);
    must_be(ouro_file_write_all(OURO_CWD, "/dev/full", "1", 1, 0, 0600), -ENOSPC);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("f"), (void *)(uintptr_t)8, 9, 0, 0600), -EFAULT);
    ouro_file_write_all_start(&w, OURO_CWD, NULL, "1", 1, 0, 0600);
    must(ouro_done(&w.op.future));
    must_be(files_open(), 0);
    return 0;
}

/* --- replacing -------------------------------------------------------------------------------- */

static int replace_main(void *arg)
{
    ouro_file old, dir;
    char in[8];

    (void)arg;
    dir_make();
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "old", 3, 0, 0640), 0);
    must_be(plain_stat(in_dir("f")).st_mode & 07777, 0640);
    must_be(ouro_open(&old, in_dir("f"), O_RDONLY, 0), 0);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "new one", 7, 0, 0600), 0);
    must(plain_file_is(in_dir("f"), "new one"));
    must_be(plain_stat(in_dir("f")).st_mode & 07777, 0600);
    must_be(ouro_read_full(old, in, sizeof in, 0), 3); /* who has it open keeps it */
    must(memcmp(in, "old", 3) == 0);
    must_be(ouro_file_close(old), 0);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "x", 1, OURO_WRITE_NEW, 0600), -EEXIST);
    must(plain_file_is(in_dir("f"), "new one"));
    dir = dir_open();
    must_be(ouro_file_replace(dir, "g", NULL, 0, OURO_WRITE_NEW, 0600), 0);
    must_be(mkdir(in_dir("sub"), 0700), 0);
    must_be(ouro_file_replace(dir, "sub/h", "1", 1, 0, 0600), 0);
    must_be(ouro_file_replace(dir, "./g", "2", 1, 0, 0600), 0);
    must(plain_file_is(in_dir("sub/h"), "1") && plain_file_is(in_dir("g"), "2"));
    must_be(ouro_file_close(dir), 0);
    must_be(symlink("g", in_dir("l")), 0);
    must_be(ouro_file_replace(OURO_CWD, in_dir("l"), "3", 1, 0, 0600), 0);
    must(S_ISREG(plain_stat(in_dir("l")).st_mode) && plain_file_is(in_dir("g"), "2"));
    must_be(dir_names(), 4); /* f, g, l, sub: no other name was left */
    return 0;
}

static int replace_errors_main(void *arg)
{
    const size_t big = (size_t)INT32_MAX + 1;
    struct ouro_replace r;

    (void)arg;
    dir_make();
    must_be(mkdir(in_dir("d"), 0700), 0);
    plain_file(in_dir("f"), "1");
    must_be(ouro_file_replace(OURO_CWD, in_dir("none/f"), "1", 1, 0, 0600), -ENOENT);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f/x"), "1", 1, 0, 0600), -ENOTDIR);
    must_be(ouro_file_replace(OURO_CWD, in_dir("d"), "1", 1, 0, 0600), -EISDIR);
    must_be(ouro_file_replace(OURO_CWD, in_dir("d/"), "1", 1, 0, 0600), -EISDIR);
    must_be(ouro_file_replace(OURO_CWD, "", "1", 1, 0, 0600), -ENOENT);
    must(ouro_file_replace(OURO_CWD, in_dir("."), "1", 1, 0, 0600) < 0);
    must_be(ouro_file_replace(OURO_CWD, NULL, "1", 1, 0, 0600), -EINVAL);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), NULL, 1, 0, 0600), -EINVAL);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "1", big, 0, 0600), -EINVAL);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "1", 1, OURO_WRITE_SYNC, 0600), -EINVAL);
    must_be(ouro_file_replace((ouro_file){0}, "f", "1", 1, 0, 0600), -EBADF);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), (void *)(uintptr_t)8, 9, 0, 0600), -EFAULT);
    ouro_file_replace_start(&r, OURO_CWD, NULL, "1", 1, 0, 0600);
    must(ouro_done(&r.op.future));
    must_be(dir_names(), 2);
    must(plain_file_is(in_dir("f"), "1"));
    must_be(files_open(), 0);
    return 0;
}

/* Many writers of one file: each reader finds one of them whole. */
static int writes_one(void *arg)
{
    char text[5000];

    memset(text, *(char *)arg, sizeof text);
    for (int i = 0; i < 5; i++)
        must_be(ouro_file_replace(OURO_CWD, in_dir("f"), text, sizeof text, 0, 0600), 0);
    return 0;
}

static int replace_crowd_main(void *arg)
{
    struct ouro_scope scope;
    char *data;
    size_t len;

    (void)arg;
    dir_make();
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "", 0, 0, 0600), 0);
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (char c = 'a'; c < 'i'; c++)
        must_be(ouro_spawn(&scope, writes_one, &c, 1), 0);
    for (int i = 0; i < 30; i++) {
        must_be(ouro_file_read_all(OURO_CWD, in_dir("f"), 10000, (void **)&data, &len), 0);
        must(len == 0 || len == 5000);
        for (size_t k = 1; k < len; k++)
            must_be(data[k], data[0]);
        free(data);
    }
    must_be(ouro_scope_leave(&scope), 0);
    must_be(dir_names(), 1);
    return 0;
}

/* --- reads and writes that go on -------------------------------------------------------------- */

static int full_main(void *arg)
{
    static uint8_t out[300000], in[400000];
    struct ouro_full r;
    ouro_file f;

    (void)arg;
    dir_make();
    must_be(ouro_open(&f, in_dir("f"), O_RDWR | O_CREAT, 0600), 0);
    pattern_fill(out, sizeof out, 5, 0);
    must_be(ouro_write_full(f, out, sizeof out, 100), sizeof out);
    must_be(ouro_read_full(f, in, sizeof out, 100), sizeof out);
    must(memcmp(in, out, sizeof out) == 0);
    must_be(ouro_read_full(f, in, sizeof in, 200), sizeof out - 100); /* the end */
    must(memcmp(in, out + 100, sizeof out - 100) == 0);
    must_be(ouro_read_full(f, in, 10, sizeof out + 100), 0);
    must_be(ouro_read_full(f, NULL, 0, 0), 0);
    must_be(ouro_write_full(f, NULL, 0, 0), 0);
    must_be(ouro_read_full(f, NULL, 1, 0), -EINVAL);
    must_be(ouro_write_full(f, NULL, 1, 0), -EINVAL);
    must_be(ouro_read_full(f, in, (size_t)INT32_MAX + 1, 0), -EINVAL);
    must_be(ouro_read_full(f, in, 1, INT64_MAX), -EINVAL);
    must_be(ouro_write_full(f, in, 10, UINT64_MAX - 1), -EINVAL);
    must_be(ouro_read_full(f, (void *)(uintptr_t)8, 10, 0), -EFAULT);
    ouro_read_full_start(&r, f, NULL, 1, 0);
    must(ouro_done(&r.op.future));
    must_be(ouro_write_full(f, "one", 3, OURO_STREAM), 3); /* at the file's own position */
    must_be(ouro_write_full(f, "two", 3, OURO_STREAM), 3);
    must_be(ouro_read_full(f, in, 6, 0), 6);
    must(memcmp(in, "onetwo", 6) == 0);
    must_be(ouro_read_full(f, in, sizeof in, OURO_STREAM), sizeof out + 100 - 6);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_read_full(f, in, 0, 0), -EBADF);
    must_be(ouro_write_full(f, in, 0, 0), -EBADF);
    must_be(ouro_open(&f, "/dev/full", O_RDWR, 0), 0);
    must_be(ouro_write_full(f, "1", 1, 0), -ENOSPC);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* From a pipe, which gives what it has: short reads, one after the other; and an error after some
 * bytes says how many they were. */
static int in_pieces_main(void *arg)
{
    struct ouro_full r;
    ouro_file f;
    char in[12] = "";
    int fd;

    (void)arg;
    dir_make();
    must_be(mkfifo(in_dir("p"), 0600), 0);
    must_be(ouro_open(&f, in_dir("p"), O_RDWR, 0), 0);
    fd = open(in_dir("p"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    must(fd >= 0);
    ouro_read_full_start(&r, f, in, 11, 0);
    for (int i = 0; i < 3; i++) {
        must_be(write(fd, "abcd", 4), 4);
        if (i < 2)
            until(r.done == (size_t)i * 4 + 4);
    }
    must_be(ouro_await(&r.op.future), 11);
    must(memcmp(in, "abcdabcdabc", 11) == 0);
    must_be(ouro_read_full(f, in, 1, OURO_STREAM), 1);
    ouro_read_full_start(&r, f, in, 11, 0);
    must_be(write(fd, "abcd", 4), 4);
    until(r.done == 4);
    ouro_cancel(&r.op.future);
    must_be(ouro_await(&r.op.future), -ECANCELED);
    must_be(r.done, 4);
    close(fd);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    void *data;
    size_t len;
    char in[4];

    (void)state;
    assert_int_equal(ouro_file_read_all(OURO_CWD, "/", 1, &data, &len), -OURO_ENOSHARD);
    assert_null(data);
    assert_int_equal(ouro_file_write_all(OURO_CWD, "x", "1", 1, 0, 0600), -OURO_ENOSHARD);
    assert_int_equal(ouro_file_replace(OURO_CWD, "x", "1", 1, 0, 0600), -OURO_ENOSHARD);
    assert_int_equal(ouro_read_full((ouro_file){5}, in, 1, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_write_full((ouro_file){5}, in, 1, 0), -OURO_ENOSHARD);
}

ON_BOTH_TABLES(read_sizes)
ON_BOTH_TABLES(read_errors)
ON_BOTH_TABLES(read_proc)
ON_BOTH_TABLES(read_changing)
ON_BOTH_TABLES(write_whole)
ON_BOTH_TABLES(write_errors)
ON_BOTH_TABLES(replace)
ON_BOTH_TABLES(replace_errors)
ON_BOTH_TABLES(replace_crowd)
ON_BOTH_TABLES(full)
ON_BOTH_TABLES(in_pieces)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_sizes),    cmocka_unit_test(read_errors),
        cmocka_unit_test(read_proc),     cmocka_unit_test(read_changing),
        cmocka_unit_test(write_whole),   cmocka_unit_test(write_errors),
        cmocka_unit_test(replace),       cmocka_unit_test(replace_errors),
        cmocka_unit_test(replace_crowd), cmocka_unit_test(full),
        cmocka_unit_test(in_pieces),     cmocka_unit_test(off_a_shard),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
