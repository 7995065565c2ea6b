/* SPDX-License-Identifier: MIT */
/* Names: made, moved, linked and removed, from the current directory and from an open one; every
 * error of the system calls comes through; a directory lives until what was started in it is over.
 */
#include "support/fs_support.h"

#include <stdio.h>

static const char *long_name(size_t n)
{
    static char text[6000];

    memset(text, 'a', n);
    text[n] = '\0';
    return text;
}

static int files_main(void *arg)
{
    (void)arg;
    dir_make();
    plain_file(in_dir("a"), "1");
    must_be(ouro_link(OURO_CWD, in_dir("a"), OURO_CWD, in_dir("b"), 0), 0);
    must_be(plain_stat(in_dir("a")).st_nlink, 2);
    must_be(ouro_rename(OURO_CWD, in_dir("b"), OURO_CWD, in_dir("c"), 0), 0);
    must(plain_file_is(in_dir("c"), "1"));
    must_be(ouro_unlink(OURO_CWD, in_dir("a")), 0);
    must_be(plain_stat(in_dir("c")).st_nlink, 1);
    must_be(ouro_mkdir(OURO_CWD, in_dir("d"), 0751), 0);
    must_be(plain_stat(in_dir("d")).st_mode & 07777, 0751 & ~(unsigned)022);
    must_be(dir_names(), 2);
    must_be(ouro_rmdir(OURO_CWD, in_dir("d")), 0);
    must_be(ouro_unlink(OURO_CWD, in_dir("c")), 0);
    must_be(dir_names(), 0);
    return 0;
}

static int rename_flags_main(void *arg)
{
    (void)arg;
    dir_make();
    plain_file(in_dir("a"), "1");
    plain_file(in_dir("b"), "2");
    must_be(ouro_rename(OURO_CWD, in_dir("a"), OURO_CWD, in_dir("b"), RENAME_NOREPLACE), -EEXIST);
    must_be(ouro_rename(OURO_CWD, in_dir("a"), OURO_CWD, in_dir("b"), RENAME_EXCHANGE), 0);
    must(plain_file_is(in_dir("a"), "2") && plain_file_is(in_dir("b"), "1"));
    must_be(ouro_rename(OURO_CWD, in_dir("a"), OURO_CWD, in_dir("b"), 1u << 20), -EINVAL);
    must_be(ouro_rename(OURO_CWD, in_dir("a"), OURO_CWD, in_dir("b"), 0), 0);
    must(plain_file_is(in_dir("b"), "2"));
    must_be(dir_names(), 1);
    return 0;
}

static int links_main(void *arg)
{
    char text[64], longest[5000];
    size_t n;

    (void)arg;
    dir_make();
    memset(text, '.', sizeof text);
    must_be(ouro_symlink("to/where", OURO_CWD, in_dir("l")), 0);
    must_be(ouro_readlink(OURO_CWD, in_dir("l"), text, sizeof text), 8);
    must(memcmp(text, "to/where", 9) == 0 && text[9] == '.');
    must_be(ouro_readlink(OURO_CWD, in_dir("l"), text, 9), 8);
    must_be(ouro_readlink(OURO_CWD, in_dir("l"), text, 8), -ERANGE);
    must_be(ouro_readlink(OURO_CWD, in_dir("l"), text, 0), -EINVAL);
    must_be(ouro_readlink(OURO_CWD, in_dir("l"), NULL, 8), -EINVAL);
    must_be(ouro_readlink(OURO_CWD, NULL, text, 8), -EINVAL);
    must_be(ouro_readlink(OURO_CWD, in_dir("none"), text, 8), -ENOENT);
    must_be(ouro_readlink(OURO_CWD, dir_path(), text, 8), -EINVAL);
    plain_file(in_dir("f"), "");
    must_be(ouro_readlink(OURO_CWD, in_dir("f"), text, 8), -EINVAL);
    must_be(ouro_symlink(long_name(3000), OURO_CWD, in_dir("far")), 0);
    n = (size_t)ouro_readlink(OURO_CWD, in_dir("far"), longest, sizeof longest);
    must_be(n, 3000);
    must(strcmp(longest, long_name(3000)) == 0);
    must_be(ouro_link(OURO_CWD, in_dir("l"), OURO_CWD, in_dir("l2"), 0),
            0); /* of the link itself */
    must_be(ouro_readlink(OURO_CWD, in_dir("l2"), text, sizeof text), 8);
    must_be(ouro_symlink("f", OURO_CWD, in_dir("lf")), 0);
    must_be(ouro_link(OURO_CWD, in_dir("lf"), OURO_CWD, in_dir("f2"), AT_SYMLINK_FOLLOW), 0);
    must_be(plain_stat(in_dir("f")).st_nlink, 2);
    must_be(ouro_symlink("x", OURO_CWD, in_dir("l")), -EEXIST);
    must_be(ouro_symlink("", OURO_CWD, in_dir("empty")), -ENOENT);
    must_be(ouro_symlink(NULL, OURO_CWD, in_dir("n")), -EINVAL);
    must_be(ouro_symlink("x", OURO_CWD, NULL), -EINVAL);
    must_be(ouro_symlink(long_name(5000), OURO_CWD, in_dir("n")), -ENAMETOOLONG);
    must_be(files_open(), 0);
    return 0;
}

static int errors_main(void *arg)
{
    const char *bad = (const char *)(uintptr_t)8;
    uint64_t submitted;

    (void)arg;
    dir_make();
    plain_file(in_dir("f"), "1");
    must_be(mkdir(in_dir("d"), 0700), 0);
    plain_file(in_dir("d/inside"), "1");

    must_be(ouro_unlink(OURO_CWD, in_dir("none")), -ENOENT);
    must_be(ouro_unlink(OURO_CWD, in_dir("d")), -EISDIR);
    must_be(ouro_unlink(OURO_CWD, in_dir("f/x")), -ENOTDIR);
    must_be(ouro_unlink(OURO_CWD, in_dir(long_name(256))), -ENAMETOOLONG);
    must_be(ouro_unlink(OURO_CWD, ""), -ENOENT);
    must_be(ouro_unlink(OURO_CWD, bad), -EFAULT);
    must_be(ouro_rmdir(OURO_CWD, in_dir("d")), -ENOTEMPTY);
    must_be(ouro_rmdir(OURO_CWD, in_dir("f")), -ENOTDIR);
    must_be(ouro_rmdir(OURO_CWD, in_dir("d/.")), -EINVAL);
    must_be(ouro_rmdir(OURO_CWD, in_dir("none")), -ENOENT);
    must_be(ouro_mkdir(OURO_CWD, in_dir("d"), 0700), -EEXIST);
    must_be(ouro_mkdir(OURO_CWD, in_dir("none/x"), 0700), -ENOENT);
    must_be(ouro_mkdir(OURO_CWD, in_dir("f/x"), 0700), -ENOTDIR);
    must_be(ouro_mkdir(OURO_CWD, long_name(5000), 0700), -ENAMETOOLONG);
    must_be(ouro_rename(OURO_CWD, in_dir("none"), OURO_CWD, in_dir("x"), 0), -ENOENT);
    must_be(ouro_rename(OURO_CWD, in_dir("f"), OURO_CWD, in_dir("d"), 0), -EISDIR);
    must_be(ouro_rename(OURO_CWD, in_dir("d"), OURO_CWD, in_dir("f"), 0), -ENOTDIR);
    must_be(ouro_rename(OURO_CWD, in_dir("d"), OURO_CWD, in_dir("d/d"), 0), -EINVAL);
    must_be(ouro_rename(OURO_CWD, in_dir("f"), OURO_CWD, in_dir(long_name(256)), 0), -ENAMETOOLONG);
    must_be(ouro_link(OURO_CWD, in_dir("none"), OURO_CWD, in_dir("x"), 0), -ENOENT);
    must_be(ouro_link(OURO_CWD, in_dir("f"), OURO_CWD, in_dir("d"), 0), -EEXIST);
    must_be(ouro_link(OURO_CWD, in_dir("d"), OURO_CWD, in_dir("x"), 0), -EPERM);
    must_be(ouro_link(OURO_CWD, in_dir("f"), OURO_CWD, in_dir("x"), 1u << 20), -EINVAL);

    submitted = counters_now().submitted;
    must_be(ouro_unlink(OURO_CWD, NULL), -EINVAL);
    must_be(ouro_rmdir(OURO_CWD, NULL), -EINVAL);
    must_be(ouro_mkdir(OURO_CWD, NULL, 0), -EINVAL);
    must_be(ouro_rename(OURO_CWD, NULL, OURO_CWD, "x", 0), -EINVAL);
    must_be(ouro_rename(OURO_CWD, "x", OURO_CWD, NULL, 0), -EINVAL);
    must_be(ouro_link(OURO_CWD, NULL, OURO_CWD, "x", 0), -EINVAL);
    must_be(ouro_link(OURO_CWD, "x", OURO_CWD, NULL, 0), -EINVAL);
    must_be(counters_now().submitted, submitted);
    must_be(dir_names(), 2);
    must(plain_file_is(in_dir("f"), "1"));
    return 0;
}

/* Two file systems. */
static int across_main(void *arg)
{
    struct stat shm;

    (void)arg;
    dir_make();
    if (stat("/dev/shm", &shm) != 0 || shm.st_dev == plain_stat(dir_path()).st_dev)
        return 77;
    plain_file(in_dir("f"), "1");
    must_be(ouro_rename(OURO_CWD, in_dir("f"), OURO_CWD, "/dev/shm/ouro-across", 0), -EXDEV);
    must_be(ouro_link(OURO_CWD, in_dir("f"), OURO_CWD, "/dev/shm/ouro-across", 0), -EXDEV);
    must(plain_file_is(in_dir("f"), "1"));
    return 0;
}

/* --- directories ------------------------------------------------------------------------------ */

static int from_directories_main(void *arg)
{
    ouro_file dir, sub, f;
    char text[16];

    (void)arg;
    dir_make();
    dir = dir_open();
    must_be(ouro_mkdir(dir, "sub", 0700), 0);
    must_be(ouro_open_at(&sub, dir, "sub", O_PATH | O_DIRECTORY, 0), 0);
    must_be(ouro_open_at(&f, dir, "f", O_WRONLY | O_CREAT | O_EXCL, 0600), 0);
    must_be(ouro_write(f, "1", 1, 0), 1);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_link(dir, "f", sub, "g", 0), 0);
    must_be(ouro_rename(dir, "f", sub, "h", 0), 0);
    must_be(ouro_rename(sub, "h", dir, "f", 0), 0);
    must_be(ouro_rename(sub, "g", sub, "g2", 0), 0);
    must(plain_file_is(in_dir("f"), "1") && plain_file_is(in_dir("sub/g2"), "1"));
    must_be(ouro_symlink("f", dir, "l"), 0);
    must_be(ouro_readlink(dir, "l", text, sizeof text), 1);
    must_be(ouro_unlink(sub, "g2"), 0);
    must_be(ouro_unlink(sub, "../l"), 0);
    must_be(ouro_rename(OURO_CWD, in_dir("f"), sub, "f", 0), 0);
    must_be(ouro_rename(sub, "f", OURO_CWD, in_dir("f"), 0), 0);
    must_be(ouro_rmdir(dir, "sub"), 0);
    must_be(ouro_mkdir(sub, "x", 0700), -ENOENT); /* it is gone, and open */
    must_be(ouro_unlink(sub, in_dir("f")), 0);    /* absolute: wherever it begins */
    must_be(ouro_fsync(dir), 0);
    must_be(ouro_file_close(sub), 0);
    must_be(ouro_file_close(dir), 0);
    must_be(dir_names(), 0);
    return 0;
}

/* No handle, a closed one, a file that is no directory: nothing is looked up from anywhere else. */
static int bad_directories_main(void *arg)
{
    ouro_file closed = dir_open(), f, bad[3], out;
    static const int errors[3] = {-EBADF, -EBADF, -ENOTDIR};

    (void)arg;
    dir_make();
    plain_file(in_dir("f"), "1");
    must_be(ouro_file_close(closed), 0);
    must_be(ouro_open(&f, in_dir("f"), O_RDWR, 0), 0);
    bad[0] = (ouro_file){0};
    bad[1] = closed;
    bad[2] = f;
    must_be(chdir(dir_path()), 0);
    for (int i = 0; i < 3; i++) {
        char text[8];

        must_be(ouro_open_at(&out, bad[i], "f", O_RDONLY, 0), errors[i]);
        must_be(out.id, 0);
        must_be(ouro_unlink(bad[i], "f"), errors[i]);
        must_be(ouro_rmdir(bad[i], "f"), errors[i]);
        must_be(ouro_mkdir(bad[i], "x", 0700), errors[i]);
        must_be(ouro_symlink("x", bad[i], "x"), errors[i]);
        must_be(ouro_readlink(bad[i], "f", text, sizeof text), errors[i]);
        must_be(ouro_rename(bad[i], "f", OURO_CWD, "x", 0), errors[i]);
        must_be(ouro_rename(OURO_CWD, "f", bad[i], "x", 0), errors[i]);
        must_be(ouro_link(bad[i], "f", OURO_CWD, "x", 0), errors[i]);
        must_be(ouro_link(OURO_CWD, "f", bad[i], "x", 0), errors[i]);
    }
    must_be(chdir("/"), 0);
    must_be(ouro_file_close(f), 0);
    must_be(dir_names(), 1);
    return 0;
}

/* A directory that is closed at once is closed after what was started in it. */
static int closed_meanwhile_main(void *arg)
{
    (void)arg;
    dir_make();
    for (int i = 0; i < 40; i++) {
        ouro_file from = dir_open(), to = dir_open();
        struct ouro_rename r;
        struct ouro_path p;
        struct ouro_close c[2];

        plain_file(in_dir("a"), "1");
        ouro_mkdir_start(&p, from, "d", 0700);
        ouro_rename_start(&r, from, "a", to, "b", 0);
        if (i % 2 == 1)
            turns(1);
        ouro_file_close_start(&c[0], to);
        ouro_file_close_start(&c[1], from);
        must_be(ouro_unlink(to, "b"), -EBADF);
        must_be(ouro_await(&c[0].op.future), 0);
        must_be(ouro_await(&c[1].op.future), 0);
        must(ouro_done(&p.op.future));
        must_be(ouro_result(&p.op.future), 0);
        must_be(ouro_await(&r.op.future), 0);
        must_be(unlink(in_dir("b")), 0);
        must_be(rmdir(in_dir("d")), 0);
    }
    return 0;
}

static ouro_file foreign;

static int use_foreign(void *arg)
{
    ouro_file f;
    char text[8];

    (void)arg;
    if (ouro_current_shard() == 0)
        return 0;
    must_be(ouro_open_at(&f, foreign, "x", O_RDONLY, 0), -OURO_EOTHERSHARD);
    must_be(ouro_unlink(foreign, "x"), -OURO_EOTHERSHARD);
    must_be(ouro_mkdir(foreign, "x", 0700), -OURO_EOTHERSHARD);
    must_be(ouro_symlink("x", foreign, "x"), -OURO_EOTHERSHARD);
    must_be(ouro_readlink(foreign, "x", text, sizeof text), -OURO_EOTHERSHARD);
    must_be(ouro_rename(foreign, "x", OURO_CWD, "y", 0), -OURO_EOTHERSHARD);
    must_be(ouro_link(OURO_CWD, "x", foreign, "y", 0), -OURO_EOTHERSHARD);
    return 0;
}

static int other_shard_main(void *arg)
{
    (void)arg;
    dir_make();
    foreign = dir_open();
    must_be(ouro_on_each_shard(use_foreign, NULL, "foreign", NULL), 0);
    must_be(ouro_file_close(foreign), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    ouro_file f;
    char text[8];

    (void)state;
    assert_int_equal(ouro_open_at(&f, OURO_CWD, "x", O_RDONLY, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_unlink(OURO_CWD, "x"), -OURO_ENOSHARD);
    assert_int_equal(ouro_rmdir(OURO_CWD, "x"), -OURO_ENOSHARD);
    assert_int_equal(ouro_mkdir(OURO_CWD, "x", 0700), -OURO_ENOSHARD);
    assert_int_equal(ouro_symlink("x", OURO_CWD, "x"), -OURO_ENOSHARD);
    assert_int_equal(ouro_readlink(OURO_CWD, "x", text, 8), -OURO_ENOSHARD);
    assert_int_equal(ouro_rename(OURO_CWD, "x", OURO_CWD, "y", 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_link(OURO_CWD, "x", OURO_CWD, "y", 0), -OURO_ENOSHARD);
}

ON_BOTH_TABLES(files)
ON_BOTH_TABLES(rename_flags)
ON_BOTH_TABLES(links)
ON_BOTH_TABLES(errors)
ON_BOTH_TABLES(from_directories)
ON_BOTH_TABLES(bad_directories)
ON_BOTH_TABLES(closed_meanwhile)

static void across(void **state)
{
    (void)state;
    if (run_on(1, across_main, NULL) == 77)
        skip();
}

static void other_shard(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, other_shard_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),           cmocka_unit_test(rename_flags),
        cmocka_unit_test(links),           cmocka_unit_test(errors),
        cmocka_unit_test(across),          cmocka_unit_test(from_directories),
        cmocka_unit_test(bad_directories), cmocka_unit_test(closed_meanwhile),
        cmocka_unit_test(other_shard),     cmocka_unit_test(off_a_shard),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
