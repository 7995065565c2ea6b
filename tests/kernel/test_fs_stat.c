/* SPDX-License-Identifier: MIT */
/* Attributes are those of stat(2), of paths and of open files alike; what is told of direct I/O
 * holds. */
#include "support/fs_support.h"

#include <stdlib.h>

#include "shard/shard.h"

static int64_t ns(const struct timespec *t)
{
    return t->tv_sec * (int64_t)SEC + t->tv_nsec;
}

static void must_match(const struct ouro_stat *st, const struct stat *plain)
{
    must_be(st->size, plain->st_size);
    must_be(st->blocks, plain->st_blocks);
    must_be(st->ino, plain->st_ino);
    must_be(st->dev, plain->st_dev);
    must_be(st->mode, plain->st_mode);
    must_be(st->nlink, plain->st_nlink);
    must_be(st->uid, plain->st_uid);
    must_be(st->gid, plain->st_gid);
    must_be(st->atime_ns, ns(&plain->st_atim));
    must_be(st->mtime_ns, ns(&plain->st_mtim));
    must_be(st->ctime_ns, ns(&plain->st_ctim));
}

static int paths_main(void *arg)
{
    struct ouro_stat st;
    struct stat plain;
    ouro_file dir;

    (void)arg;
    dir_make();
    plain_file(in_dir("f"), "content");
    must_be(symlink("f", in_dir("l")), 0);
    plain = plain_stat(in_dir("f"));
    must_be(ouro_stat(OURO_CWD, in_dir("f"), 0, &st), 0);
    must_match(&st, &plain);
    must(st.birth_ns == 0 ||
         (st.birth_ns <= st.ctime_ns && st.birth_ns > st.ctime_ns - 600 * (int64_t)SEC));
    must_be(ouro_stat(OURO_CWD, in_dir("l"), 0, &st), 0);
    must_match(&st, &plain);
    plain = plain_stat(in_dir("l"));
    must_be(ouro_stat(OURO_CWD, in_dir("l"), AT_SYMLINK_NOFOLLOW, &st), 0);
    must_match(&st, &plain);
    must(S_ISLNK(st.mode));
    dir = dir_open();
    must_be(ouro_stat(dir, "f", 0, &st), 0);
    must_be(st.size, 7);
    must_be(ouro_file_stat(dir, &st), 0);
    plain = plain_stat(dir_path());
    must_match(&st, &plain);
    must_be(ouro_file_close(dir), 0);
    return 0;
}

/* The size of what is open, also of what has no name any more; and no descriptor is left behind. */
static int open_files_main(void *arg)
{
    struct ouro_stat st;
    struct stat plain;
    ouro_file f;
    unsigned before;

    (void)arg;
    dir_make();
    must_be(ouro_open(&f, in_dir("f"), O_WRONLY | O_CREAT, 0640), 0);
    before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        must_be(ouro_write(f, "12345", 5, (uint64_t)i * 5), 5);
        must_be(ouro_file_stat(f, &st), 0);
        must_be(st.size, i * 5 + 5);
    }
    plain = plain_stat(in_dir("f"));
    must_match(&st, &plain);
    must_be(unlink(in_dir("f")), 0);
    must_be(ouro_file_stat(f, &st), 0);
    must_be(st.nlink, 0);
    must_be(open_descriptors(), before);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_file_stat(f, &st), 0);
    must(S_ISCHR(st.mode));
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int errors_main(void *arg)
{
    struct ouro_stat st = {.size = 77};
    struct ouro_stat_call c;
    ouro_file f;

    (void)arg;
    dir_make();
    plain_file(in_dir("f"), "1");
    must_be(ouro_stat(OURO_CWD, in_dir("none"), 0, &st), -ENOENT);
    must_be(ouro_stat(OURO_CWD, in_dir("f/x"), 0, &st), -ENOTDIR);
    must_be(ouro_stat(OURO_CWD, "", 0, &st), -ENOENT);
    must_be(ouro_stat(OURO_CWD, NULL, 0, &st), -EINVAL);
    must_be(ouro_stat(OURO_CWD, in_dir("f"), 0, NULL), -EINVAL);
    must_be(ouro_stat(OURO_CWD, in_dir("f"), 1 << 30, &st), -EINVAL);
    must_be(ouro_stat(OURO_CWD, (const char *)(uintptr_t)8, 0, &st), -EFAULT);
    must_be(ouro_stat((ouro_file){0}, "f", 0, &st), -EBADF);
    must_be(ouro_file_stat((ouro_file){0}, &st), -EBADF);
    must_be(ouro_file_stat(OURO_CWD, &st), -EBADF);
    must_be(ouro_open(&f, in_dir("f"), O_RDONLY, 0), 0);
    must_be(ouro_stat(f, "x", 0, &st), -ENOTDIR);
    must_be(ouro_file_stat(f, NULL), -EINVAL);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_file_stat(f, &st), -EBADF);
    must_be(st.size, 0);
    ouro_file_stat_start(&c, f);
    must(ouro_done(&c.op.future));
    return 0;
}

/* A read that keeps to what was told is taken. */
static int direct_io_main(void *arg)
{
    const char *given = getenv("OURO_DIRECT_FILE"); /* of another file system than that of TMPDIR */
    const char *path;
    struct ouro_stat st, open_one;
    ouro_file f;
    char *buf;
    int error;

    (void)arg;
    dir_make();
    path = given != NULL ? given : in_dir("f");
    must_be(ouro_file_write_all(OURO_CWD, path, "x", 1, 0, 0600), 0);
    must_be(ouro_stat(OURO_CWD, path, 0, &st), 0);
    error = ouro_open(&f, path, O_RDWR | O_DIRECT, 0);
    if (error == -EINVAL || st.dio_offset_align == 0) { /* no direct I/O there, or not told of it */
        must(error != -EINVAL || st.dio_offset_align == 0);
        if (error == 0)
            must_be(ouro_file_close(f), 0);
        return 77;
    }
    must_be(error, 0);
    must_be(ouro_file_stat(f, &open_one), 0);
    must_be(open_one.dio_mem_align, st.dio_mem_align);
    must_be(open_one.dio_offset_align, st.dio_offset_align);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t align = i == 0 ? st.dio_mem_align : st.dio_offset_align;

        must(align > 0 && align <= 65536 && (align & (align - 1)) == 0);
    }
    /* Memory as badly aligned as is allowed. */
    buf = aligned_alloc(65536, 4 * 65536);
    must(buf != NULL);
    memset(buf, 'd', 4 * 65536);
    must_be(ouro_write(f, buf + st.dio_mem_align, st.dio_offset_align, st.dio_offset_align),
            st.dio_offset_align);
    buf[st.dio_mem_align] = 0;
    must_be(ouro_read(f, buf + st.dio_mem_align, st.dio_offset_align, st.dio_offset_align),
            st.dio_offset_align);
    must_be(buf[st.dio_mem_align], 'd');
    must_be(ouro_file_close(f), 0);
    free(buf);
    return 0;
}

/* No direct I/O there: nothing is told. */
static int no_direct_io_main(void *arg)
{
    struct ouro_stat st;

    (void)arg;
    must_be(ouro_stat(OURO_CWD, "/proc/self/status", 0, &st), 0);
    must_be(st.dio_mem_align, 0);
    must_be(st.dio_offset_align, 0);
    must_be(st.size, 0);
    must_be(st.birth_ns, 0);
    return 0;
}

/* A ring that cannot make a direct descriptor an ordinary one. */
static int no_way_out_main(void *arg)
{
    struct ouro_stat st;
    ouro_file f;
    int expected = shard_self->ring.caps.direct ? -EOPNOTSUPP : 0;

    (void)arg;
    must_be(ouro_open(&f, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_file_stat(f, &st), expected);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_stat(OURO_CWD, "/dev/null", 0, &st), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    struct ouro_stat st;

    (void)state;
    assert_int_equal(ouro_stat(OURO_CWD, "/", 0, &st), -OURO_ENOSHARD);
    assert_int_equal(ouro_file_stat((ouro_file){0}, &st), -OURO_ENOSHARD);
}

ON_BOTH_TABLES(paths)
ON_BOTH_TABLES(open_files)
ON_BOTH_TABLES(errors)
ON_ONE_SHARD(no_direct_io)

static void direct_io(void **state)
{
    (void)state;
    if (run_on(1, direct_io_main, NULL) == 77)
        skip();
}

static void no_way_out(void **state)
{
    static const uint8_t missing[] = {IORING_OP_FIXED_FD_INSTALL};

    (void)state;
    assert_int_equal(run_without(missing, 1, true, no_way_out_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),       cmocka_unit_test(open_files),   cmocka_unit_test(errors),
        cmocka_unit_test(direct_io),   cmocka_unit_test(no_direct_io), cmocka_unit_test(no_way_out),
        cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
