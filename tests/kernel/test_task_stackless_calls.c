/* SPDX-License-Identifier: MIT */
/* Calls of several steps inside of stackless tasks: sending all of something through a small
 * socket, opening and closing a file, a connection that is refused; and their cancellation
 * half-way. */
#include "support/support.h"

#include <ouro/file.h>
#include <ouro/net.h>
#include <sys/ioctl.h>

#define BYTES (4u << 20)

static char *data, *got;

static int receiver_fd; /* of the pair's second end */

static void pair(ouro_conn *a, ouro_conn *b)
{
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(a, fd[0]), 0);
    must_be(ouro_conn_adopt(b, fd[1]), 0);
    receiver_fd = fd[1];
}

struct sender {
    struct ouro_task task;
    struct ouro_send_all send;
    struct ouro_close close;
    ouro_conn conn;
    bool sending;
    int result, closed;
};

static void sender_resume(struct ouro_task *task)
{
    struct sender *s = OURO_FRAME(task, struct sender, task);

    OURO_BEGIN(task);
    ouro_send_all_start(&s->send, s->conn, data, BYTES);
    s->sending = true;
    OURO_AWAIT(task, &s->send.op.future);
    s->result = ouro_result(&s->send.op.future);
    ouro_close_start(&s->close, s->conn); /* a release: also when cancelled */
    OURO_AWAIT(task, &s->close.op.future);
    s->closed = ouro_result(&s->close.op.future);
    OURO_END(task, s->result);
}

/* How much waits to be received. */
static int queued(void)
{
    int n = 0;

    must_be(ioctl(receiver_fd, FIONREAD, &n), 0);
    return n;
}

static size_t receive_all(ouro_conn conn)
{
    size_t n = 0;
    ssize_t r;

    while ((r = ouro_recv(conn, got + n, BYTES - n)) > 0)
        n += (size_t)r;
    must_be(r, 0);
    return n;
}

static int sends_all_main(void *arg)
{
    struct sender s = {.closed = 1};
    struct ouro_scope scope;
    ouro_conn other;

    (void)arg;
    pair(&s.conn, &other);
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_task_start(&scope, &s.task, sender_resume, "sender"), 0);
    memset(got, 0, BYTES);
    must_be(receive_all(other), BYTES);
    must_be(memcmp(got, data, BYTES), 0);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(s.result, BYTES);
    must_be(s.closed, 0);
    must_be(ouro_close(other), 0);
    return 0;
}

/* Cancelled with the socket full: what went out is counted exactly, and the close still happens. */
static int cancelled_main(void *arg)
{
    struct sender s = {.closed = 1};
    struct ouro_scope scope;
    ouro_conn other;
    size_t n;

    (void)arg;
    pair(&s.conn, &other);
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_task_start(&scope, &s.task, sender_resume, "sender"), 0);
    until(s.sending && queued() > 0);
    ouro_task_cancel(&s.task);
    must_be(ouro_scope_leave(&scope), -ECANCELED);
    must_be(s.result, -ECANCELED);
    must_be(s.closed, 0);
    n = receive_all(other);
    must_be(n, s.send.sent);
    must(n < BYTES);
    must_be(memcmp(got, data, n), 0);
    must_be(ouro_close(other), 0);
    return 0;
}

struct opener {
    struct ouro_task task;
    struct ouro_open open;
    struct ouro_rw read;
    struct ouro_close close;
    struct ouro_connect connect;
    struct ouro_addr addr;
    char text[16];
    int opened, bytes, closed, connected;
};

static void opener_resume(struct ouro_task *task)
{
    struct opener *o = OURO_FRAME(task, struct opener, task);

    OURO_BEGIN(task);
    ouro_open_start(&o->open, "/proc/self/comm", O_RDONLY, 0);
    OURO_AWAIT(task, &o->open.op.future);
    o->opened = ouro_result(&o->open.op.future);
    if (o->opened == 0) {
        ouro_read_start(&o->read, o->open.file, o->text, sizeof o->text - 1, 0);
        OURO_AWAIT(task, &o->read.op.future);
        o->bytes = ouro_result(&o->read.op.future);
        ouro_file_close_start(&o->close, o->open.file);
        OURO_AWAIT(task, &o->close.op.future);
        o->closed = ouro_result(&o->close.op.future);
    }
    ouro_connect_start(&o->connect, &o->addr, NULL);
    OURO_AWAIT(task, &o->connect.op.future);
    o->connected = ouro_result(&o->connect.op.future);
    OURO_END(task, 0);
}

static int opens_main(void *arg)
{
    struct opener o = {.closed = 1};

    (void)arg;
    must_be(ouro_addr_parse(&o.addr, "unix:/nonexistent/socket", NULL), 0);
    must_be(ouro_task_start(NULL, &o.task, opener_resume, "opener"), 0);
    until(o.task.state == OURO_TASK_ENDED);
    must_be(o.opened, 0);
    must_be(o.bytes, strlen(o.text));
    must_be(strncmp(o.text, "ouro-0", 6), 0);
    must_be(o.closed, 0);
    must_be(o.connected, -ENOENT);

    o = (struct opener){.closed = 1, .addr = o.addr};
    must_be(ouro_task_start(NULL, &o.task, opener_resume, "opener"), 0);
    ouro_task_cancel(&o.task); /* before its first step */
    until(o.task.state == OURO_TASK_ENDED);
    must_be(o.opened, -ECANCELED);
    must_be(o.connected, -ECANCELED);
    return 0;
}

ON_ONE_SHARD(sends_all)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(opens)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_all),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(opens),
    };
    int failed;

    data = malloc(BYTES);
    got = malloc(BYTES);
    must(data != NULL && got != NULL);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (char)(i * 7 + i / 251);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(data);
    free(got);
    return failed;
}
