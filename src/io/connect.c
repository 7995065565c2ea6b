/* SPDX-License-Identifier: MIT */
/* Connecting: socket, options, connect; and a close when one of them fails. */
#include "io/close.h"
#include "io/sockopt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define TYPE (SOCK_STREAM | SOCK_CLOEXEC)

/* An ordinary socket, with its options set; DONE at once. */
static void socket_ordinary(struct shard *s, struct ouro_connect *c)
{
    int family = ouro_addr_family(&c->addr);
    int fd = socket(family, TYPE, 0), error;
    struct slot *slot;

    if (fd < 0) {
        op_refuse(&c->step, -errno);
        return;
    }
    error = sockopt_apply(fd, &c->options, family);
    slot = error == 0 ? slots_take(&s->slots, fd, SLOT_CONN) : NULL;
    if (slot == NULL) {
        close(fd);
        op_refuse(&c->step, error != 0 ? error : -EMFILE);
        return;
    }
    c->conn.id = slot->id;
    op_refuse(&c->step, 0);
}

static void socket_start(struct shard *s, struct ouro_connect *c)
{
    struct io_uring_sqe *sqe;

    if (!s->ring.caps.direct_sockets) {
        socket_ordinary(s, c);
        return;
    }
    if (!direct_promise(s)) {
        op_refuse(&c->step, -ENFILE);
        return;
    }
    sqe = op_begin(s, &c->step, IORING_OP_SOCKET, c->op.place);
    if (sqe == NULL) {
        direct_keep(s);
        return;
    }
    c->promised = true;
    io_uring_prep_socket_direct_alloc(sqe, ouro_addr_family(&c->addr), SOCK_STREAM, 0, 0);
    op_go(&c->step, sqe, NULL, TAG_OP);
}

/* Starts setting the next option that is wanted; false: there is none left. */
static bool option_start(struct shard *s, struct ouro_connect *c)
{
    struct io_uring_sqe *sqe;
    struct slot *slot;
    struct sockopt x;

    do {
        if (!sockopt_at(&c->options, ouro_addr_family(&c->addr), c->option++, &x))
            return false;
    } while (x.len == 0);
    sqe = op_begin_on(s, &c->step, c->conn.id, SLOT_CONN, IORING_OP_URING_CMD, c->op.place, &slot);
    if (sqe == NULL)
        return true;
    memcpy(&c->value, &x.value, sizeof c->value);
    io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SETSOCKOPT, 0, x.level, x.name, &c->value,
                           (int)x.len);
    op_go(&c->step, sqe, slot, TAG_OP);
    return true;
}

static void connect_step(struct shard *s, struct ouro_connect *c)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(s, &c->step, c->conn.id, SLOT_CONN, IORING_OP_CONNECT, c->op.place, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_connect(sqe, 0, &c->addr.sa, c->addr.len);
    op_go(&c->step, sqe, slot, TAG_OP);
}

/* Ends the call; a socket that is of no use is closed behind it. */
static void finish(struct shard *s, struct ouro_connect *c, int error)
{
    struct slot *slot = slots_find(&s->slots, c->conn.id, SLOT_CONN);

    if (error != 0) {
        if (slot != NULL)
            op_close_detached(s, slot);
        c->conn.id = 0;
    }
    call_end(&c->task, error);
}

static void connect_resume(struct ouro_task *task)
{
    struct ouro_connect *c = OURO_FRAME(task, struct ouro_connect, task);
    struct shard *s = shard_self;

    OURO_BEGIN(task);
    socket_start(s, c);
    OURO_AWAIT(task, &c->step.future);
    if (c->promised)
        direct_keep(s);
    if (c->step.future.result < 0) {
        finish(s, c, c->step.future.result);
        return;
    }
    if (s->ring.caps.direct_sockets) {
        c->conn.id = slots_take_direct(&s->slots, (uint32_t)c->step.future.result, SLOT_CONN)->id;
        while (option_start(s, c)) {
            OURO_AWAIT(task, &c->step.future);
            if (c->step.future.result < 0) {
                finish(s, c, c->step.future.result);
                return;
            }
        }
    }
    connect_step(s, c);
    OURO_AWAIT(task, &c->step.future);
    OURO_BEGIN_END;
    finish(s, c, c->step.future.result);
}

void ouro_connect_start(struct ouro_connect *c, const struct ouro_addr *addr,
                        const struct ouro_socket_options *options)
{
    struct shard *s = shard_self;
    int error = s == NULL      ? -OURO_ENOSHARD
                : addr == NULL ? -EINVAL
                               : sockopt_take(&c->options, options);

    c->conn.id = 0;
    c->option = 0;
    c->promised = false;
    if (error != 0) {
        op_refuse(&c->op, error);
        return;
    }
    c->addr = *addr;
    call_start(s, (struct call *)&c->op, connect_resume, "connect", __builtin_return_address(0),
               false);
}

int ouro_connect(ouro_conn *out, const struct ouro_addr *addr,
                 const struct ouro_socket_options *options, uint64_t timeout_ns)
{
    struct ouro_connect c;
    int error;

    if (out == NULL)
        return -EINVAL;
    out->id = 0;
    ouro_connect_start(&c, addr, options);
    error = ouro_await_for(&c.op.future, timeout_ns);
    if (c.op.future.state == OURO_DONE && c.op.future.result == 0)
        *out = c.conn;
    return error;
}
