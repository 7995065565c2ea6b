/* SPDX-License-Identifier: MIT */
/* Sizes and blocks: longer, shorter, reserved, punched and zeroed, as lseek(2) and stat(2) see it
 * from outside; with and without the ring's own ftruncate. */
#include "support/fs_support.h"

#include <linux/falloc.h>

#include "shard/shard.h"

#define BLOCK (64 * 1024)

static ouro_file filled(const char *path, size_t blocks)
{
    static char data[4 * BLOCK];
    ouro_file f;

    memset(data, 'x', sizeof data);
    must(blocks * BLOCK <= sizeof data);
    must_be(ouro_open(&f, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
    must_be(ouro_write_full(f, data, blocks * BLOCK, 0), blocks * BLOCK);
    must_be(ouro_fsync(f), 0); /* blocks are allocated now */
    return f;
}

/* Where the first hole (or data) is, from outside. */
static off_t seek(const char *path, off_t from, int whence)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t at = lseek(fd, from, whence);

    if (at < 0)
        at = -errno;
    close(fd);
    return at;
}

static void must_all_be(ouro_file f, uint64_t offset, size_t len, char expected)
{
    static char in[BLOCK];

    must(len <= sizeof in);
    must_be(ouro_read_full(f, in, len, offset), len);
    for (size_t i = 0; i < len; i++)
        must_be(in[i], expected);
}

static int cut_main(void *arg)
{
    ouro_file f;

    (void)arg;
    dir_make();
    f = filled(in_dir("f"), 2);
    must_be(ouro_ftruncate(f, BLOCK + 10), 0);
    must_be(plain_stat(in_dir("f")).st_size, BLOCK + 10);
    must_be(ouro_ftruncate(f, 2 * BLOCK), 0); /* what was cut off does not come back */
    must_all_be(f, BLOCK, 10, 'x');
    must_all_be(f, BLOCK + 10, BLOCK - 10, 0);
    must_be(ouro_ftruncate(f, UINT64_C(3) << 32), 0); /* 64 bits, and a hole */
    must_be(plain_stat(in_dir("f")).st_size, INT64_C(3) << 32);
    must(plain_stat(in_dir("f")).st_blocks <= 3 * BLOCK / 512 + 64);
    must_be(ouro_ftruncate(f, 0), 0);
    must_be(plain_stat(in_dir("f")).st_size, 0);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int cut_errors_main(void *arg)
{
    ouro_file f;

    (void)arg;
    dir_make();
    f = filled(in_dir("f"), 1);
    must_be(ouro_ftruncate(f, (uint64_t)INT64_MAX + 1), -EINVAL);
    must(ouro_ftruncate(f, INT64_MAX) < 0); /* -EFBIG, as the file system has it */
    must_be(plain_stat(in_dir("f")).st_size, BLOCK);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_ftruncate(f, 0), -EBADF);
    must_be(ouro_ftruncate((ouro_file){0}, 0), -EBADF);
    must_be(ouro_open(&f, in_dir("f"), O_RDONLY, 0), 0);
    must_be(ouro_ftruncate(f, 0), -EINVAL); /* not open for writing */
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, "/dev/null", O_RDWR, 0), 0);
    must_be(ouro_ftruncate(f, 0), -EINVAL);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int cancelled_task(void *arg)
{
    ouro_file f = *(ouro_file *)arg;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_ftruncate(f, 0), -ECANCELED);
    must_be(ouro_fallocate(f, 0, 0, 1), -ECANCELED);
    return 0;
}

static int cancelled_main(void *arg)
{
    ouro_fiber fiber;
    ouro_file f;

    (void)arg;
    dir_make();
    f = filled(in_dir("f"), 1);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, &f, sizeof f, &fiber), 0);
    turns(1);
    must_be(ouro_fiber_cancel(fiber), 0);
    must_be(ouro_join(fiber, NULL), OURO_END_CANCELLED);
    must_be(plain_stat(in_dir("f")).st_size, BLOCK);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int all_truncates_main(void *arg)
{
    return cut_main(arg) + cut_errors_main(arg) + cancelled_main(arg);
}

/* Neither the operation nor a descriptor that a system call could name. */
static int impossible_main(void *arg)
{
    ouro_file f;

    (void)arg;
    if (!shard_self->ring.caps.direct)
        return 77;
    dir_make();
    f = filled(in_dir("f"), 1);
    must_be(ouro_ftruncate(f, 0), -EOPNOTSUPP);
    must_be(plain_stat(in_dir("f")).st_size, BLOCK);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* 77: a file system that cannot do it. */
static int allocate_main(void *arg)
{
    ouro_file f;
    int error;

    (void)arg;
    dir_make();
    f = filled(in_dir("f"), 0);
    error = ouro_fallocate(f, FALLOC_FL_KEEP_SIZE, 0, 2 * BLOCK);
    if (error == -EOPNOTSUPP) {
        must_be(ouro_file_close(f), 0);
        return 77;
    }
    must_be(error, 0);
    must_be(plain_stat(in_dir("f")).st_size, 0);
    must(plain_stat(in_dir("f")).st_blocks >= 2 * BLOCK / 512);
    must_be(ouro_fallocate(f, 0, BLOCK, 2 * BLOCK), 0);
    must_be(plain_stat(in_dir("f")).st_size, 3 * BLOCK);
    must_all_be(f, 2 * BLOCK, BLOCK, 0);
    must_be(ouro_fallocate(f, 0, 0, 0), -EINVAL);
    must_be(ouro_fallocate(f, 0, (uint64_t)INT64_MAX + 1, 1), -EINVAL);
    must_be(ouro_fallocate(f, 0, 0, (uint64_t)INT64_MAX + 1), -EINVAL);
    must_be(ouro_fallocate(f, 0, INT64_MAX, INT64_MAX), -EFBIG);
    must_be(ouro_fallocate(f, 1 << 30, 0, 1), -EOPNOTSUPP);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_fallocate(f, 0, 0, 1), -EBADF);
    must_be(ouro_open(&f, in_dir("f"), O_RDONLY, 0), 0);
    must_be(ouro_fallocate(f, 0, 0, 1), -EBADF);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int holes_main(void *arg)
{
    ouro_file f;
    int error;

    (void)arg;
    dir_make();
    f = filled(in_dir("f"), 3);
    must_be(seek(in_dir("f"), 0, SEEK_HOLE), 3 * BLOCK);
    error = ouro_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, BLOCK);
    if (error == -EOPNOTSUPP) {
        must_be(ouro_file_close(f), 0);
        return 77;
    }
    must_be(error, 0);
    must_be(seek(in_dir("f"), 0, SEEK_HOLE), BLOCK);
    must_be(seek(in_dir("f"), BLOCK, SEEK_DATA), 2 * BLOCK);
    must_be(plain_stat(in_dir("f")).st_size, 3 * BLOCK);
    must_all_be(f, 0, BLOCK, 'x');
    must_all_be(f, BLOCK, BLOCK, 0);
    must_all_be(f, 2 * BLOCK, BLOCK, 'x');
    must_be(ouro_fallocate(f, FALLOC_FL_PUNCH_HOLE, 0, BLOCK), -EOPNOTSUPP); /* not alone */
    error = ouro_fallocate(f, FALLOC_FL_ZERO_RANGE, 2 * BLOCK, 2 * BLOCK);
    if (error == 0) { /* not every file system has it */
        must_be(plain_stat(in_dir("f")).st_size, 4 * BLOCK);
        must_all_be(f, 2 * BLOCK, BLOCK, 0);
        must_all_be(f, 3 * BLOCK, BLOCK, 0);
    } else {
        must_be(error, -EOPNOTSUPP);
    }
    must_be(ouro_file_close(f), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    (void)state;
    assert_int_equal(ouro_ftruncate((ouro_file){5}, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_fallocate((ouro_file){5}, 0, 0, 1), -OURO_ENOSHARD);
}

ON_BOTH_TABLES(cut)
ON_BOTH_TABLES(cut_errors)
ON_BOTH_TABLES(cancelled)

static const uint8_t missing[] = {IORING_OP_FTRUNCATE};

static void without_operation(void **state)
{
    (void)state;
    assert_int_equal(run_without(missing, 1, false, all_truncates_main, NULL), 0);
}

static void or_skip(int value)
{
    if (value == 77)
        skip();
    assert_int_equal(value, 0);
}

static void impossible(void **state)
{
    (void)state;
    or_skip(run_without(missing, 1, true, impossible_main, NULL));
}

static void allocate(void **state)
{
    (void)state;
    or_skip(run_on(1, allocate_main, NULL));
}

static void holes(void **state)
{
    (void)state;
    or_skip(run_on(1, holes_main, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut),        cmocka_unit_test(cut_errors),
        cmocka_unit_test(cancelled),  cmocka_unit_test(without_operation),
        cmocka_unit_test(impossible), cmocka_unit_test(allocate),
        cmocka_unit_test(holes),      cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
