/* SPDX-License-Identifier: MIT */
/* Temporary files: of no name, where the file system can and where it cannot, or of one that nobody
 * had. */
#include "support/fs_support.h"

static void must_work(ouro_file f)
{
    char in[8];

    must(f.id != 0);
    must_be(ouro_write(f, "12345678", 8, 0), 8);
    must_be(ouro_read(f, in, 8, 0), 8);
    must(memcmp(in, "12345678", 8) == 0);
}

static int unnamed_main(void *arg)
{
    struct ouro_stat st;
    ouro_file dir, a, b;

    (void)arg;
    dir_make();
    dir = dir_open();
    must_be(ouro_temp_open(&a, dir), 0);
    must_be(ouro_temp_open(&b, dir), 0);
    must_be(dir_names(), 0);
    must_work(a);
    must_work(b);
    must_be(ouro_file_stat(a, &st), 0);
    must_be(st.nlink, 0);
    must_be(st.mode, S_IFREG | 0600);
    must_be(ouro_file_close(a), 0);
    must_be(ouro_file_close(b), 0);
    must_be(ouro_file_close(dir), 0);
    return 0;
}

static int named_main(void *arg)
{
    char name[2][OURO_TEMP_NAME_BYTES];
    ouro_file dir, f[2];

    (void)arg;
    dir_make();
    dir = dir_open();
    for (int i = 0; i < 2; i++) {
        must_be(ouro_temp_named(&f[i], dir, name[i]), 0);
        must_work(f[i]);
        must_be(strlen(name[i]), sizeof name[i] - 2);
        must(strncmp(name[i], OURO_TEMP_PREFIX, strlen(OURO_TEMP_PREFIX)) == 0);
        must_be(plain_stat(in_dir(name[i])).st_mode, S_IFREG | 0600);
    }
    must(strcmp(name[0], name[1]) != 0);
    must_be(dir_names(), 2);
    must_be(ouro_rename(dir, name[0], dir, "kept", 0), 0);
    must_be(ouro_unlink(dir, name[1]), 0);
    must(plain_file_is(in_dir("kept"), "12345678"));
    for (int i = 0; i < 2; i++)
        must_be(ouro_file_close(f[i]), 0);
    must_be(ouro_file_close(dir), 0);
    must_be(dir_names(), 1);
    return 0;
}

static int errors_main(void *arg)
{
    char name[OURO_TEMP_NAME_BYTES];
    ouro_file gone, none = {0}, proc, f;

    (void)arg;
    dir_make();
    gone = dir_open();
    must_be(rmdir(dir_path()), 0);
    must(ouro_temp_open(&f, gone) < 0); /* which error depends on the file system */
    must_be(f.id, 0);
    must_be(ouro_temp_named(&f, gone, name), -ENOENT);
    must_be(f.id, 0);
    must_be(ouro_file_close(gone), 0);
    must_be(ouro_temp_open(&f, gone), -EBADF);
    must_be(ouro_temp_named(&f, none, name), -EBADF);
    must_be(ouro_temp_open(NULL, none), -EINVAL);
    must_be(ouro_temp_named(NULL, none, name), -EINVAL);
    must_be(ouro_temp_named(&f, none, NULL), -EINVAL);
    /* Neither a file without a name nor one with. */
    must_be(ouro_open(&proc, "/proc", O_RDONLY | O_DIRECTORY, 0), 0);
    must(ouro_temp_open(&f, proc) < 0);
    must_be(f.id, 0);
    must(ouro_temp_named(&f, proc, name) < 0);
    must_be(ouro_file_close(proc), 0);
    must_be(ouro_open(&proc, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_temp_open(&f, proc), -ENOTDIR);
    must_be(ouro_file_close(proc), 0);
    must_be(files_open(), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    char name[OURO_TEMP_NAME_BYTES];
    ouro_file f = {7};

    (void)state;
    assert_int_equal(ouro_temp_open(&f, OURO_CWD), -OURO_ENOSHARD);
    assert_int_equal(f.id, 0);
    assert_int_equal(ouro_temp_named(&f, OURO_CWD, name), -OURO_ENOSHARD);
}

ON_BOTH_TABLES(unnamed)
ON_BOTH_TABLES(named)
ON_BOTH_TABLES(errors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unnamed),
        cmocka_unit_test(named),
        cmocka_unit_test(errors),
        cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
