/* SPDX-License-Identifier: MIT */
/* Files: what is written at an offset is read there, in one piece or in parts, short at the end,
 * and far out. */
#include "support/net_support.h"

#include <ouro/file.h>
#include <sys/stat.h>

static ouro_file create(const char *path)
{
    ouro_file f;

    must_be(ouro_open(&f, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
    must(f.id != 0);
    return f;
}

static int round_trip_main(void *arg)
{
    static uint8_t out[100000], in[sizeof out];
    ouro_file f = create(temp_path("round"));

    (void)arg;
    pattern_fill(out, sizeof out, 1, 0);
    must_be(ouro_write(f, out, sizeof out, 0), sizeof out);
    must_be(ouro_read(f, in, sizeof in, 0), sizeof in);
    must(memcmp(in, out, sizeof in) == 0);
    must_be(ouro_read(f, in, 10, 99995), 5); /* short: the end is near */
    pattern_check(in, 5, 1, 99995);
    must_be(ouro_read(f, in, 10, 100000), 0); /* the end */
    must_be(ouro_read(f, in, 10, 1 << 30), 0);
    must_be(ouro_write(f, "XY", 2, 50000), 2); /* in the middle */
    must_be(ouro_read(f, in, 4, 49999), 4);
    must(in[0] == out[49999] && memcmp(in + 1, "XY", 2) == 0 && in[3] == out[50002]);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int vectored_main(void *arg)
{
    char a[] = "one ", b[] = "", c[] = "two three", in1[6], in2[3], in3[20] = {0};
    struct iovec out[] = {{a, 4}, {b, 0}, {c, 9}},
                 in[] = {{in1, 6}, {NULL, 0}, {in2, 3}, {in3, 20}};
    static struct iovec many[1025];
    ouro_file f = create(temp_path("vectored"));

    (void)arg;
    must_be(ouro_writev(f, out, 3, 100), 13);
    must_be(ouro_readv(f, in, 4, 100), 13);
    must(memcmp(in1, "one tw", 6) == 0 && memcmp(in2, "o t", 3) == 0 &&
         memcmp(in3, "hree", 5) == 0);
    must_be(ouro_readv(f, in, 4, 0), 29); /* from the hole */
    must(in1[0] == 0);
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){in1, 1};
    must_be(ouro_writev(f, many, 1025, 0), -EINVAL);
    must_be(ouro_readv(f, many, 1025, 0), -EINVAL);
    must_be(ouro_writev(f, many, 1024, 0), 1024);
    must_be(ouro_readv(f, NULL, 1, 0), -EINVAL);
    must_be(ouro_writev(f, NULL, 1, 0), -EINVAL);
    must_be(ouro_readv(f, NULL, 0, 0), 0);
    must_be(ouro_writev(f, NULL, 0, 0), 0);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* Hundreds at once, in any order. */
static int at_once_main(void *arg)
{
    enum { N = 300, EACH = 512 };
    static struct ouro_rw rw[N];
    static uint8_t out[N * EACH], in[N * EACH];
    ouro_file f = create(temp_path("at_once"));

    (void)arg;
    pattern_fill(out, sizeof out, 2, 0);
    for (size_t i = 0; i < N; i++) {
        size_t k = (i * 7) % N;

        ouro_write_start(&rw[k], f, out + k * EACH, EACH, k * EACH);
    }
    for (size_t i = 0; i < N; i++)
        must_be(ouro_await(&rw[i].op.future), EACH);
    for (size_t i = 0; i < N; i++)
        ouro_read_start(&rw[i], f, in + i * EACH, EACH, i * EACH);
    for (size_t i = N; i-- > 0;)
        must_be(ouro_await(&rw[i].op.future), EACH);
    must(memcmp(in, out, sizeof in) == 0);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* Offsets of 64 bits; beyond what the file system allows is its own error, beyond a signed number
 * ours. */
static int far_out_main(void *arg)
{
    const uint64_t far = UINT64_C(5) << 32;
    char in[8];
    struct stat st;
    const char *path = temp_path("far");
    struct iovec iov = {in, 4};
    ouro_file f = create(path);

    (void)arg;
    must_be(ouro_write(f, "far", 3, far), 3);
    must_be(ouro_read(f, in, 8, far), 3);
    must(memcmp(in, "far", 3) == 0);
    must_be(stat(path, &st), 0);
    must_be(st.st_size, far + 3);
    must(ouro_write(f, "x", 1, INT64_MAX) < 0);
    must_be(ouro_read(f, in, 1, (uint64_t)INT64_MAX + 1), -EINVAL);
    must_be(ouro_read(f, in, 1, UINT64_MAX - 1), -EINVAL);
    must_be(ouro_write(f, in, 1, UINT64_MAX - 1), -EINVAL);
    must_be(ouro_readv(f, &iov, 1, UINT64_MAX - 1), -EINVAL);
    must_be(ouro_writev(f, &iov, 1, UINT64_MAX - 1), -EINVAL);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int bad_ranges_main(void *arg)
{
    const size_t big = (size_t)INT32_MAX + 1;
    char in[8];
    struct iovec bad = {(void *)(uintptr_t)8, 8};
    ouro_file f = create(temp_path("bad"));
    uint64_t submitted = counters_now().submitted;

    (void)arg;
    must_be(ouro_read(f, in, big, 0), -EINVAL);
    must_be(ouro_write(f, in, big, 0), -EINVAL);
    must_be(ouro_read(f, in, SIZE_MAX, 0), -EINVAL);
    must_be(ouro_read(f, NULL, 1, 0), -EINVAL);
    must_be(ouro_write(f, NULL, 1, 0), -EINVAL);
    must_be(counters_now().submitted, submitted);
    must_be(ouro_read(f, NULL, 0, 0), 0);
    must_be(ouro_write(f, NULL, 0, 0), 0);
    must_be(ouro_write(f, "data", 4, 0), 4);
    must_be(ouro_read(f, (void *)(uintptr_t)8, 4, 0), -EFAULT);
    must_be(ouro_write(f, (void *)(uintptr_t)8, 4, 0), -EFAULT);
    must_be(ouro_readv(f, &bad, 1, 0), -EFAULT);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* What the descriptor was not opened for. */
static int wrong_way_main(void *arg)
{
    const char *path = temp_path("way");
    ouro_file f = create(path);
    char in[4];

    (void)arg;
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, path, O_RDONLY, 0), 0);
    must_be(ouro_write(f, "x", 1, 0), -EBADF);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, path, O_WRONLY, 0), 0);
    must_be(ouro_read(f, in, 1, 0), -EBADF);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_open(&f, "/tmp", O_RDONLY | O_DIRECTORY, 0), 0);
    must_be(ouro_read(f, in, 1, 0), -EISDIR);
    must_be(ouro_file_close(f), 0);
    return 0;
}

static int full_disk_main(void *arg)
{
    char data[] = "data";
    struct iovec iov = {data, 4};
    ouro_file f;

    (void)arg;
    must_be(ouro_open(&f, "/dev/full", O_RDWR, 0), 0);
    must_be(ouro_write(f, "data", 4, 0), -ENOSPC);
    must_be(ouro_writev(f, &iov, 1, 0), -ENOSPC);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* Unaligned direct I/O is refused by the file system, and the refusal passed on; aligned works. */
static int direct_main(void *arg)
{
    const char *path = getenv("OURO_DIRECT_FILE"); /* for another file system than that of TMPDIR */
    uint8_t *buf = aligned_alloc(4096, 8192);
    ouro_file f;
    int error;

    (void)arg;
    must(buf != NULL);
    if (path == NULL)
        path = temp_path("direct");
    error = ouro_open(&f, path, O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (error == -EINVAL) { /* a file system without */
        free(buf);
        return 77;
    }
    must_be(error, 0);
    pattern_fill(buf, 4096, 8, 0);
    must_be(ouro_write(f, buf, 4096, 0), 4096);
    must_be(ouro_read(f, buf + 4096, 4096, 0), 4096);
    must(memcmp(buf, buf + 4096, 4096) == 0);
    error = (int)ouro_write(f, buf + 1, 4096, 4096);
    if (error == 4096) { /* one that takes any alignment */
        must_be(ouro_file_close(f), 0);
        free(buf);
        return 77;
    }
    must_be(error, -EINVAL);
    must_be(ouro_write(f, buf, 100, 0), -EINVAL);
    must_be(ouro_write(f, buf, 4096, 100), -EINVAL);
    must_be(ouro_read(f, buf + 1, 4096, 0), -EINVAL);
    must_be(ouro_read(f, buf, 4096, 4096), 0);
    must_be(ouro_file_close(f), 0);
    free(buf);
    return 0;
}

static int syncing_main(void *arg)
{
    struct ouro_rw a, b;
    ouro_file f = create(temp_path("sync"));

    (void)arg;
    must_be(ouro_write(f, "data", 4, 0), 4);
    must_be(ouro_fsync(f), 0);
    must_be(ouro_fdatasync(f), 0);
    ouro_fsync_start(&a, f);
    ouro_fdatasync_start(&b, f);
    must_be(ouro_await(&a.op.future), 0);
    must_be(ouro_await(&b.op.future), 0);
    must_be(ouro_file_close(f), 0);
    must_be(ouro_fsync(f), -EBADF);
    must_be(ouro_fdatasync(f), -EBADF);
    must_be(ouro_open(&f, "/proc/self/status", O_RDONLY, 0), 0);
    must_be(ouro_fsync(f), -EINVAL); /* nothing that can be synced */
    must_be(ouro_file_close(f), 0);
    return 0;
}

ON_ONE_SHARD(round_trip)
ON_ONE_SHARD(vectored)
ON_ONE_SHARD(at_once)
ON_ONE_SHARD(far_out)
ON_ONE_SHARD(bad_ranges)
ON_ONE_SHARD(wrong_way)
ON_ONE_SHARD(full_disk)
ON_ONE_SHARD(syncing)

static void direct(void **state)
{
    (void)state;
    if (run_on(1, direct_main, NULL) == 77)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(vectored),   cmocka_unit_test(at_once),
        cmocka_unit_test(far_out),    cmocka_unit_test(bad_ranges), cmocka_unit_test(wrong_way),
        cmocka_unit_test(full_disk),  cmocka_unit_test(direct),     cmocka_unit_test(syncing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
