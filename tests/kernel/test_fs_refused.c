/* SPDX-License-Identifier: MIT */
/* A full file system, and one that may not be written to: the errors come through, the old content
 * stays, and nothing new does. On small file systems of their own, where such may be mounted. */
#include "support/fs_support.h"

#include <linux/falloc.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

#define TOO_MUCH (1 << 20)
static char much[TOO_MUCH];

/* In a namespace of mounts of this process's own. 77: not permitted. */
static int mount_small(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 77;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir_path(), "tmpfs", 0, "size=128k,nr_inodes=8") != 0)
        return 77;
    return 0;
}

static int full_main(void *arg)
{
    struct ouro_write_all w;
    char name[16];
    ouro_file f;
    int error = 0;

    (void)arg;
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "old", 3, 0, 0600), 0);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), much, TOO_MUCH, 0, 0600), -ENOSPC);
    must(plain_file_is(in_dir("f"), "old"));
    must_be(dir_names(), 1);
    must_be(ouro_open(&f, in_dir("f"), O_RDWR, 0), 0);
    must_be(ouro_fallocate(f, FALLOC_FL_KEEP_SIZE, 0, TOO_MUCH), -ENOSPC);
    must_be(ouro_file_close(f), 0);
    ouro_file_write_all_start(&w, OURO_CWD, in_dir("g"), much, TOO_MUCH, 0, 0600);
    must_be(ouro_await(&w.op.future), -ENOSPC);
    must_be(w.done, plain_stat(in_dir("g")).st_size); /* what was written stays */
    must(w.done > 0 && w.done < TOO_MUCH);
    must_be(ouro_unlink(OURO_CWD, in_dir("g")), 0);
    for (int i = 0; error == 0 && i < 20; i++) { /* and no more names */
        snprintf(name, sizeof name, "d%d", i);
        error = ouro_mkdir(OURO_CWD, in_dir(name), 0700);
    }
    must_be(error, -ENOSPC);
    must_be(ouro_symlink("x", OURO_CWD, in_dir("l")), -ENOSPC);
    must_be(ouro_file_replace(OURO_CWD, in_dir("f"), "new", 3, 0, 0600), -ENOSPC);
    must(plain_file_is(in_dir("f"), "old"));
    return 0;
}

static int full_child(void *arg)
{
    return mount_small() != 0 ? 77 : run_on(1, full_main, arg);
}

static int read_only_main(void *arg)
{
    char name[OURO_TEMP_NAME_BYTES];
    ouro_file dir = dir_open(), f;
    struct ouro_stat st;
    void *data;
    size_t len;

    (void)arg;
    must_be(ouro_file_write_all(dir, "f", "new", 3, 0, 0600), -EROFS);
    must_be(ouro_file_write_all(dir, "g", "new", 3, OURO_WRITE_NEW, 0600), -EROFS);
    must_be(ouro_file_replace(dir, "f", "new", 3, 0, 0600), -EROFS);
    must_be(ouro_open_at(&f, dir, "f", O_RDWR, 0), -EROFS);
    must_be(ouro_unlink(dir, "f"), -EROFS);
    must_be(ouro_rmdir(dir, "d"), -EROFS);
    must_be(ouro_mkdir(dir, "e", 0700), -EROFS);
    must_be(ouro_symlink("x", dir, "l"), -EROFS);
    must_be(ouro_rename(dir, "f", dir, "g", 0), -EROFS);
    must_be(ouro_link(dir, "f", dir, "g", 0), -EROFS);
    must_be(ouro_temp_open(&f, dir), -EROFS);
    must_be(ouro_temp_named(&f, dir, name), -EROFS);
    must_be(ouro_stat(dir, "f", 0, &st), 0);
    must_be(ouro_file_read_all(dir, "f", 10, &data, &len), 0);
    must(len == 3 && memcmp(data, "old", 3) == 0);
    free(data);
    must_be(ouro_file_close(dir), 0);
    return 0;
}

static int read_only_child(void *arg)
{
    if (mount_small() != 0)
        return 77;
    plain_file(in_dir("f"), "old");
    must_be(mkdir(in_dir("d"), 0700), 0);
    if (mount(NULL, dir_path(), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        return 77;
    return run_on(1, read_only_main, arg);
}

/* What the permissions do not allow, asked by somebody who is not above them. */
static int not_permitted_main(void *arg)
{
    void *data;
    size_t len;

    (void)arg;
    must_be(ouro_file_read_all(OURO_CWD, in_dir("secret"), 10, &data, &len), -EACCES);
    must_be(ouro_file_write_all(OURO_CWD, in_dir("secret"), "x", 1, 0, 0600), -EACCES);
    must_be(ouro_file_replace(OURO_CWD, in_dir("secret"), "x", 1, 0, 0600), -EACCES);
    must_be(ouro_unlink(OURO_CWD, in_dir("secret")), -EACCES);
    must_be(ouro_mkdir(OURO_CWD, in_dir("d"), 0700), -EACCES);
    must_be(ouro_rename(OURO_CWD, in_dir("secret"), OURO_CWD, in_dir("x"), 0), -EACCES);
    must_be(dir_names(), 1);
    return 0;
}

static int not_permitted_child(void *arg)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    return run_on(1, not_permitted_main, arg);
}

static void in_a_child(int (*fn)(void *arg))
{
    struct child c;
    int value;

    in_child(&c, fn, NULL);
    value = child_exit(&c);
    if (value != 0)
        fprintf(stderr, "%s", c.said);
    child_free(&c);
    if (value == 77)
        skip();
    assert_int_equal(value, 0);
}

static void full(void **state)
{
    (void)state;
    dir_make();
    in_a_child(full_child);
}

static void read_only(void **state)
{
    (void)state;
    dir_make();
    in_a_child(read_only_child);
}

static void not_permitted(void **state)
{
    (void)state;
    dir_make();
    plain_file(in_dir("secret"), "1");
    must_be(chmod(in_dir("secret"), 0), 0);
    must_be(chmod(dir_path(), 0555), 0);
    must_be(chmod(in_dir(".."), 0755), 0);
    in_a_child(not_permitted_child);
    must_be(chmod(dir_path(), 0700), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full),
        cmocka_unit_test(read_only),
        cmocka_unit_test(not_permitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
