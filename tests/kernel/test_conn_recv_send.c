/* SPDX-License-Identifier: MIT */
/* Bytes go through a connection, in one piece and in parts, in both directions, until the end. */
#include "support/net_support.h"

static int both_ways_main(void *arg)
{
    char out[3000], in[3000];
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (uint64_t way = 0; way < 2; way++) {
        ouro_conn from = way == 0 ? p.near : p.far, to = way == 0 ? p.far : p.near;
        size_t got = 0;

        pattern_fill(out, sizeof out, way, 0);
        must_be(ouro_send(from, out, sizeof out), sizeof out);
        while (got < sizeof in) {
            ssize_t n = ouro_recv(to, in + got, sizeof in - got);

            must(n > 0);
            got += (size_t)n;
        }
        pattern_check(in, sizeof in, way, 0);
    }
    pair_close(&p);
    return 0;
}

/* The receive was there first. */
static int recv_first_main(void *arg)
{
    char in[100];
    struct ouro_recv r;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    memset(in, 'x', sizeof in);
    ouro_recv_start(&r, p.near, in, sizeof in);
    turns(2);
    must(!ouro_done(&r.op.future));
    must_be(ouro_send(p.far, "abc", 3), 3);
    must_be(ouro_await(&r.op.future), 3);
    must(memcmp(in, "abcx", 4) == 0);
    pair_close(&p);
    return 0;
}

/* What does not fit into the buffer is there for the next receive. */
static int short_buffer_main(void *arg)
{
    char in[4] = {0};
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send(p.near, "abcdefg", 7), 7);
    must_be(ouro_recv(p.far, in, 4), 4);
    must(memcmp(in, "abcd", 4) == 0);
    must_be(ouro_recv(p.far, in, 4), 3);
    must(memcmp(in, "efg", 3) == 0);
    pair_close(&p);
    return 0;
}

static int vectored_main(void *arg)
{
    char a[] = "ab", b[] = "", c[] = "cdefg", in1[1] = {0}, in2[3] = {0}, in3[9] = {0};
    struct iovec out[] = {{a, 2}, {b, 0}, {c, 5}};
    struct iovec in[] = {{in1, sizeof in1}, {NULL, 0}, {in2, sizeof in2}, {in3, sizeof in3}};
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_sendv(p.near, out, 3), 7);
    must_be(ouro_recvv(p.far, in, 4), 7);
    must(in1[0] == 'a' && memcmp(in2, "bcd", 3) == 0 && memcmp(in3, "efg\0", 4) == 0);
    pair_close(&p);
    return 0;
}

/* The end of the stream is 0, and stays it. */
static int end_main(void *arg)
{
    char in[8];
    struct iovec iov = {in, sizeof in};
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send(p.near, "last", 4), 4);
    must_be(ouro_close(p.near), 0);
    must_be(ouro_recv(p.far, in, sizeof in), 4);
    must_be(ouro_recv(p.far, in, sizeof in), 0);
    must_be(ouro_recv(p.far, in, sizeof in), 0);
    must_be(ouro_recvv(p.far, &iov, 1), 0);
    must_be(ouro_close(p.far), 0);
    return 0;
}

static int nothing_main(void *arg)
{
    char in[8];
    struct ouro_send_all all;
    struct ouro_sendv_all vall;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send(p.near, NULL, 0), 0);
    must_be(ouro_send_all(p.near, NULL, 0), 0);
    must_be(ouro_sendv(p.near, NULL, 0), 0);
    must_be(ouro_sendv_all(p.near, NULL, 0), 0);
    must_be(ouro_send(p.near, "abc", 3), 3);
    must_be(ouro_recv(p.far, in, 0), 0); /* takes nothing */
    must_be(ouro_recv(p.far, in, sizeof in), 3);
    ouro_send_all_start(&all, p.near, NULL, 0);
    must(ouro_done(&all.op.future) && all.sent == 0);
    ouro_sendv_all_start(&vall, p.near, NULL, 0);
    must(ouro_done(&vall.op.future) && vall.sent == 0);
    pair_close(&p);
    return 0;
}

static int sum_of_parts;

static int count_bytes(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    char in[4096];
    ssize_t n;

    while ((n = ouro_recv(conn, in, sizeof in)) > 0)
        sum_of_parts += (int)n;
    must_be(n, 0);
    return 0;
}

/* 1024 parts is the most; one more is refused, whatever is in them. */
static int many_parts_main(void *arg)
{
    static struct iovec iov[1025];
    static char byte = 'p';
    struct pair p;
    ouro_fiber f;

    for (size_t i = 0; i < 1025; i++)
        iov[i] = (struct iovec){&byte, 1};
    pair_open(&p, *(enum family *)arg);
    sum_of_parts = 0;
    must_be(ouro_spawn_joinable(NULL, count_bytes, &p.far, sizeof p.far, &f), 0);
    must_be(ouro_sendv(p.near, iov, 1025), -EINVAL);
    must_be(ouro_recvv(p.near, iov, 1025), -EINVAL);
    must_be(ouro_sendv(p.near, iov, 1024), 1024);
    must_be(ouro_shutdown(p.near, SHUT_WR), 0);
    must_be(ouro_join(f, NULL), OURO_END_RETURNED);
    must_be(sum_of_parts, 1024);
    pair_close(&p);
    return 0;
}

/* Several at once on one connection: the kernel takes them in the order of their starts. */
static int many_sends_main(void *arg)
{
    enum { N = 200 };
    static struct ouro_send s[N];
    static uint8_t out[N], in[N];
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < N; i++) {
        out[i] = (uint8_t)i;
        ouro_send_start(&s[i], p.near, &out[i], 1);
    }
    for (int i = 0; i < N; i++)
        must_be(ouro_await(&s[i].op.future), 1);
    for (size_t got = 0; got < N;) {
        ssize_t n = ouro_recv(p.far, in + got, N - got);

        must(n > 0);
        got += (size_t)n;
    }
    must(memcmp(in, out, N) == 0);
    pair_close(&p);
    return 0;
}

ON_EACH_FAMILY(both_ways)
ON_EACH_FAMILY(recv_first)
ON_EACH_FAMILY(short_buffer)
ON_EACH_FAMILY(vectored)
ON_EACH_FAMILY(end)
ON_EACH_FAMILY(nothing)
ON_EACH_FAMILY(many_parts)
ON_EACH_FAMILY(many_sends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),  cmocka_unit_test(recv_first), cmocka_unit_test(short_buffer),
        cmocka_unit_test(vectored),   cmocka_unit_test(end),        cmocka_unit_test(nothing),
        cmocka_unit_test(many_parts), cmocka_unit_test(many_sends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
