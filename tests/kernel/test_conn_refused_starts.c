/* SPDX-License-Identifier: MIT */
/* What is wrong with a start on a connection is the result of its future, which is DONE at once:
 * handles that are none, of another kind, of another shard; bad ranges; a thread that is no shard;
 * a task that is cancelled. Nothing reaches the kernel. */
#include "support/net_support.h"

#include <poll.h>

#define BIG ((size_t)INT32_MAX + 1)

static char buf[16];
static struct iovec part = {buf, sizeof buf};

/* Each start by number; its future. */
enum { RECV, SEND, RECVV, SENDV, SEND_ALL, SENDV_ALL, SEND_ZC, SHUTDOWN, CLOSE, STARTS };

static union {
    struct ouro_recv recv;
    struct ouro_send send;
    struct ouro_msg msg;
    struct ouro_send_all send_all;
    struct ouro_sendv_all sendv_all;
    struct ouro_send_zc zc;
    struct ouro_shutdown shutdown;
    struct ouro_close close;
    struct ouro_op op;
} any;

static struct ouro_future *start(int what, ouro_conn c, void *p, size_t len)
{
    struct iovec *iov = p != NULL ? &part : NULL;
    size_t n = p != NULL ? 1 : len;

    memset(&any, 0, sizeof any);
    switch (what) {
    case RECV:
        ouro_recv_start(&any.recv, c, p, len);
        break;
    case SEND:
        ouro_send_start(&any.send, c, p, len);
        break;
    case RECVV:
        ouro_recvv_start(&any.msg, c, iov, n);
        break;
    case SENDV:
        ouro_sendv_start(&any.msg, c, iov, n);
        break;
    case SEND_ALL:
        ouro_send_all_start(&any.send_all, c, p, len);
        break;
    case SENDV_ALL:
        ouro_sendv_all_start(&any.sendv_all, c, iov, n);
        break;
    case SEND_ZC:
        ouro_send_zc_start(&any.zc, c, p, len);
        break;
    case SHUTDOWN:
        ouro_shutdown_start(&any.shutdown, c, SHUT_WR);
        break;
    default:
        ouro_close_start(&any.close, c);
        break;
    }
    return &any.op.future;
}

static void refused(int what, ouro_conn c, void *p, size_t len, int error)
{
    const struct ouro_future *f = start(what, c, p, len);

    if (!ouro_done(f) || ouro_result(f) != error) {
        fprintf(stderr, "start %d, length %zu: state %d, result %d\n", what, len, f->state,
                f->result);
        must_fail(__FILE__, __LINE__, "the start is refused with the error that is due");
    }
    if (what == SEND_ZC)
        must(ouro_done(&any.zc.released));
}

static int bad_handles_main(void *arg)
{
    struct ouro_addr bound;
    struct pair p;
    ouro_listener l = listen_on(V4, &bound);
    ouro_conn none[6] = {{0}, {UINT64_MAX}, {1}, {l.id}, {0}, {0}}; /* UINT64_MAX: shard 4095 */
    uint64_t submitted;

    (void)arg;
    pair_open(&p, V4);
    none[4].id = p.near.id ^ UINT64_C(1) << 40; /* another generation */
    none[5].id = p.near.id ^ UINT64_C(1) << 24; /* another shard */
    turns(3);
    submitted = counters_now().submitted;
    for (size_t i = 0; i < 6; i++)
        for (int what = 0; what < STARTS; what++)
            refused(what, none[i], buf, sizeof buf, i == 1 || i == 5 ? -OURO_EOTHERSHARD : -EBADF);
    turns(3);
    must_be(counters_now().submitted, submitted);
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* With nothing to send a stale handle is stale all the same. */
static int nothing_on_a_bad_handle_main(void *arg)
{
    (void)arg;
    for (int what = 0; what < STARTS; what++)
        refused(what, (ouro_conn){0}, NULL, 0, -EBADF);
    return 0;
}

static int bad_ranges_main(void *arg)
{
    struct pair p;

    (void)arg;
    pair_open(&p, V4);
    for (int what = RECV; what <= SEND_ZC; what++)
        refused(what, p.near, NULL, 1, -EINVAL);
    refused(RECV, p.near, buf, BIG, -EINVAL);
    refused(SEND, p.near, buf, BIG, -EINVAL);
    refused(SEND_ALL, p.near, buf, BIG, -EINVAL);
    refused(SEND_ZC, p.near, buf, BIG, -EINVAL);
    refused(RECV, p.near, buf, SIZE_MAX, -EINVAL);
    for (int how = -1; how <= 3; how += 4)
        must_be(ouro_shutdown(p.near, how), -EINVAL);
    pair_close(&p);
    return 0;
}

/* The sum of the parts counts too. */
static int bad_sums_main(void *arg)
{
    struct iovec two[2] = {{buf, INT32_MAX}, {buf, 1}}, one = {buf, SIZE_MAX};
    struct pair p;

    (void)arg;
    pair_open(&p, V4);
    must_be(ouro_sendv_all(p.near, two, 2), -EINVAL);
    must_be(ouro_sendv_all(p.near, &one, 1), -EINVAL);
    pair_close(&p);
    return 0;
}

/* Memory that is not there is the kernel's to find: no signal, and the connection lives on. */
static int bad_memory_main(void *arg)
{
    void *nowhere = (void *)(uintptr_t)8;
    struct iovec iov = {nowhere, 8};
    struct pair p;

    (void)arg;
    pair_open(&p, V4);
    must_be(ouro_send(p.near, nowhere, 8), -EFAULT);
    must_be(ouro_sendv(p.near, &iov, 1), -EFAULT);
    must_be(ouro_send_all(p.near, nowhere, 8), -EFAULT);
    must_be(ouro_send(p.far, "x", 1), 1);
    must_be(ouro_recv(p.near, nowhere, 8), -EFAULT);
    must_be(ouro_send(p.near, "y", 1), 1);
    must_be(ouro_recv(p.far, buf, 1), 1);
    pair_close(&p);
    return 0;
}

static ouro_conn foreign;

static int use_foreign(void *arg)
{
    (void)arg;
    if (ouro_current_shard() == 0)
        return 0;
    for (int what = 0; what < STARTS; what++)
        refused(what, foreign, buf, sizeof buf, -OURO_EOTHERSHARD);
    must_be(ouro_close(foreign), -OURO_EOTHERSHARD);
    must_be(ouro_close_reset(foreign), -OURO_EOTHERSHARD);
    must_be(ouro_conn_give_out(foreign), -OURO_EOTHERSHARD);
    return 0;
}

static int other_shard_main(void *arg)
{
    struct pair p;

    (void)arg;
    pair_open(&p, V4);
    foreign = p.near;
    must_be(ouro_on_each_shard(use_foreign, NULL, "foreign", NULL), 0);
    must_be(ouro_send(p.near, "x", 1), 1); /* nobody closed it */
    pair_close(&p);
    return 0;
}

static int cancelled_task(void *arg)
{
    struct pair *p = *(struct pair **)arg;
    struct ouro_recv_source source;
    struct ouro_socket_options bad = {.size = 1};
    struct ouro_addr a = parsed("127.0.0.1:1");
    ouro_conn conn = {77};

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    for (int what = 0; what < CLOSE; what++)
        refused(what, p->near, buf, sizeof buf, -ECANCELED);
    must_be(ouro_recv_source_open(&source, p->near, 0), -ECANCELED);
    must_be(ouro_connect(&conn, &a, NULL, OURO_FOREVER), -ECANCELED);
    must_be(conn.id, 0);
    must_be(ouro_connect(&conn, &a, &bad, OURO_FOREVER), -EINVAL);
    must_be(ouro_poll(0, POLLIN), -ECANCELED);
    must_be(ouro_close(p->near), 0); /* a release */
    return 0;
}

static int cancelled_main(void *arg)
{
    struct pair p, *pp = &p;
    ouro_fiber f;

    (void)arg;
    pair_open(&p, V4);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, &pp, sizeof pp, &f), 0);
    turns(1);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    must_be(ouro_recv(p.far, buf, sizeof buf), 0);
    must_be(ouro_close(p.far), 0);
    return 0;
}

static void off_a_shard(void **state)
{
    struct ouro_addr a = parsed("127.0.0.1:0");
    struct ouro_recv_source source;
    struct ouro_counters counters;
    ouro_listener l = {0};
    ouro_conn c = {5};
    struct ouro_buf b = {0};
    socklen_t len = sizeof buf;

    (void)state;
    for (int what = 0; what < STARTS; what++)
        refused(what, (ouro_conn){UINT64_C(1) << 36}, buf, sizeof buf, -OURO_ENOSHARD);
    assert_int_equal(ouro_recv(c, buf, 1), -OURO_ENOSHARD);
    assert_int_equal(ouro_close(c), -OURO_ENOSHARD);
    assert_int_equal(ouro_close_reset(c), -OURO_ENOSHARD);
    assert_int_equal(ouro_connect(&c, &a, NULL, OURO_FOREVER), -OURO_ENOSHARD);
    assert_int_equal(c.id, 0);
    assert_int_equal(ouro_listen(&l, &a, NULL), -OURO_ENOSHARD);
    assert_int_equal(ouro_listener_adopt(&l, 0, NULL), -OURO_ENOSHARD);
    assert_int_equal(ouro_listener_addr(l, &a), -OURO_ENOSHARD);
    assert_int_equal(ouro_accept(l, &c), -OURO_ENOSHARD);
    assert_int_equal(ouro_accept_take(l, &c), -OURO_ENOSHARD);
    assert_int_equal(ouro_accept_drain(l, &c), -OURO_ENOSHARD);
    assert_int_equal(ouro_accept_stop(l), -OURO_ENOSHARD);
    assert_int_equal(ouro_listener_close(l), -OURO_ENOSHARD);
    assert_int_equal(ouro_result(ouro_accept_ready(l)), -OURO_ENOSHARD);
    assert_int_equal(ouro_conn_adopt(&c, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_conn_give_out(c), -OURO_ENOSHARD);
    assert_int_equal(ouro_peer_addr(c, &a), -OURO_ENOSHARD);
    assert_int_equal(ouro_local_addr(c, &a), -OURO_ENOSHARD);
    assert_int_equal(ouro_setsockopt(c, 1, 1, buf, 4), -OURO_ENOSHARD);
    assert_int_equal(ouro_getsockopt(c, 1, 1, buf, &len), -OURO_ENOSHARD);
    assert_int_equal(ouro_recv_source_open(&source, c, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_recv_take(&source, &b), -OURO_ENOSHARD);
    assert_int_equal(ouro_recv_source_close(&source), -OURO_ENOSHARD);
    assert_int_equal(ouro_poll(0, POLLIN), -OURO_ENOSHARD);
    assert_int_equal(ouro_counters(&counters), -OURO_ENOSHARD);
    ouro_recv_source_stop(&source);
    ouro_buf_release(&b);
    ouro_buf_release(NULL);
}

/* NULL where something has to stand. */
static int null_main(void *arg)
{
    struct ouro_addr a = parsed("127.0.0.1:0"), bound;
    struct ouro_recv_source source = {0};
    ouro_listener l = listen_on(V4, &bound);
    ouro_conn c = {5};
    struct pair p;
    socklen_t len = 4;

    (void)arg;
    pair_open(&p, V4);
    must_be(ouro_connect(NULL, &a, NULL, OURO_FOREVER), -EINVAL);
    must_be(ouro_connect(&c, NULL, NULL, OURO_FOREVER), -EINVAL);
    must_be(ouro_listen(NULL, &a, NULL), -EINVAL);
    must_be(ouro_listen(&l, NULL, NULL), -EINVAL);
    must_be(ouro_listener_adopt(NULL, 0, NULL), -EINVAL);
    must_be(ouro_listener_addr(l, NULL), -EINVAL);
    must_be(ouro_accept(l, NULL), -EINVAL);
    must_be(ouro_accept_take(l, NULL), -EINVAL);
    must_be(ouro_conn_adopt(NULL, 0), -EINVAL);
    must_be(ouro_peer_addr(p.near, NULL), -EINVAL);
    must_be(ouro_local_addr(p.near, NULL), -EINVAL);
    must_be(ouro_setsockopt(p.near, 1, 1, NULL, 4), -EINVAL);
    must_be(ouro_getsockopt(p.near, 1, 1, buf, NULL), -EINVAL);
    must_be(ouro_getsockopt(p.near, 1, 1, NULL, &len), -EINVAL);
    must_be(ouro_recv_source_open(NULL, p.near, 0), -EINVAL);
    must_be(ouro_recv_source_close(NULL), -EINVAL);
    ouro_recv_source_stop(NULL);
    must_be(ouro_recv_take(NULL, NULL), -EINVAL);
    must_be(ouro_recv_take(&source, NULL), -EINVAL);
    must_be(ouro_recv_source_close(&source), 0); /* never opened */
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

ON_ONE_SHARD(bad_handles)
ON_ONE_SHARD(nothing_on_a_bad_handle)
ON_ONE_SHARD(bad_ranges)
ON_ONE_SHARD(bad_sums)
ON_ONE_SHARD(bad_memory)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(null)

static void other_shard(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, other_shard_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_handles), cmocka_unit_test(nothing_on_a_bad_handle),
        cmocka_unit_test(bad_ranges),  cmocka_unit_test(bad_sums),
        cmocka_unit_test(bad_memory),  cmocka_unit_test(other_shard),
        cmocka_unit_test(cancelled),   cmocka_unit_test(off_a_shard),
        cmocka_unit_test(null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
