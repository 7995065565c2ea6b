/* SPDX-License-Identifier: MIT */
/* Connecting: socket, options, bind if a source is given, connect; and a close when one of them
 * fails. */
#include "io/close.h"
#include "io/sockopt.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)
#define TYPE   (SOCK_STREAM | SOCK_CLOEXEC)

/* The i-th option; one whose len is 0 is left alone. False: there is none. */
static bool option_at(const struct ouro_connect *c, unsigned i, struct sockopt *out)
{
    bool late;

    if (i != 0)
        return sockopt_at(&c->options.socket, ouro_addr_family(&c->addr), i - 1, out);
    /* Binding takes no port then: what is free is decided when the peer is known. */
    late = ouro_addr_port(&c->options.source) == 0;
    *out = (struct sockopt){.level = IPPROTO_IP,
                            .name = IP_BIND_ADDRESS_NO_PORT,
                            .len = late ? sizeof(int) : 0,
                            .value.number = 1};
    return true;
}

static bool has_source(const struct ouro_connect *c)
{
    return ouro_addr_family(&c->options.source) != AF_UNSPEC;
}

static int prepare_ordinary(const struct ouro_connect *c, int fd)
{
    const struct ouro_addr *from = &c->options.source;
    struct sockopt x;

    for (unsigned i = 0; option_at(c, i, &x); i++)
        if (x.len != 0 && setsockopt(fd, x.level, x.name, &x.value, x.len) != 0)
            return -errno;
    return has_source(c) && bind(fd, &from->sa, from->len) != 0 ? -errno : 0;
}

/* An ordinary socket, with its options set, and bound; DONE at once. */
static void socket_ordinary(struct shard *s, struct ouro_connect *c)
{
    int fd = socket(ouro_addr_family(&c->addr), TYPE, 0), error;
    struct slot *slot;

    if (fd < 0) {
        op_refuse(&c->step, -errno);
        return;
    }
    error = prepare_ordinary(c, fd);
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

    /* A direct one is bound only by an operation that came with Linux 6.11. */
    c->direct =
        s->ring.caps.direct_sockets && (!has_source(c) || ring_has_op(&s->ring, IORING_OP_BIND));
    if (!c->direct) {
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
        if (!option_at(c, c->option++, &x))
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

static void bind_step(struct shard *s, struct ouro_connect *c)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(s, &c->step, c->conn.id, SLOT_CONN, IORING_OP_BIND, c->op.place, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_bind(sqe, 0, &c->options.source.sa, c->options.source.len);
    op_go(&c->step, sqe, slot, TAG_OP);
}

/* Starts the next step of preparing a direct socket: false: it is ready. */
static bool prepare_start(struct shard *s, struct ouro_connect *c)
{
    if (option_start(s, c))
        return true;
    if (c->bound || !has_source(c))
        return false;
    c->bound = true;
    bind_step(s, c);
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
    if (c->direct) {
        c->conn.id = slots_take_direct(&s->slots, (uint32_t)c->step.future.result, SLOT_CONN)->id;
        while (prepare_start(s, c)) {
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

static void start(struct ouro_connect *c, const struct ouro_addr *addr,
                  const struct ouro_addr *source, const struct ouro_socket_options *socket,
                  const void *place)
{
    struct shard *s = shard_self;
    int error = s == NULL      ? -OURO_ENOSHARD
                : addr == NULL ? -EINVAL
                               : sockopt_take(&c->options.socket, socket);

    c->conn.id = 0;
    c->option = 0;
    c->promised = c->direct = c->bound = false;
    if (source != NULL)
        c->options.source = *source;
    else
        c->options.source.sa.sa_family = AF_UNSPEC;
    if (error == 0 && has_source(c) && ouro_addr_family(source) != ouro_addr_family(addr))
        error = -EINVAL;
    if (error != 0) {
        op_refuse(&c->op, error);
        return;
    }
    c->addr = *addr;
    call_start(s, (struct call *)&c->op, connect_resume, "connect", place, false);
}

void ouro_connect_start(struct ouro_connect *c, const struct ouro_addr *addr,
                        const struct ouro_socket_options *options)
{
    start(c, addr, NULL, options, CALLER);
}

void ouro_connect_with_start(struct ouro_connect *c, const struct ouro_addr *addr,
                             const struct ouro_connect_options *options)
{
    static const struct ouro_connect_options defaults = {.size = sizeof defaults};
    const struct ouro_connect_options *o = options != NULL ? options : &defaults;

    if (o->size == sizeof *o)
        start(c, addr, &o->source, &o->socket, CALLER);
    else /* refused like a missing address */
        start(c, NULL, NULL, NULL, CALLER);
}

static int finish_wait(struct ouro_connect *c, ouro_conn *out, uint64_t timeout_ns)
{
    int error = ouro_await_for(&c->op.future, timeout_ns);

    out->id = c->op.future.state == OURO_DONE && c->op.future.result == 0 ? c->conn.id : 0;
    return error;
}

int ouro_connect(ouro_conn *out, const struct ouro_addr *addr,
                 const struct ouro_socket_options *options, uint64_t timeout_ns)
{
    struct ouro_connect c;

    if (out == NULL)
        return -EINVAL;
    ouro_connect_start(&c, addr, options);
    return finish_wait(&c, out, timeout_ns);
}

int ouro_connect_with(ouro_conn *out, const struct ouro_addr *addr,
                      const struct ouro_connect_options *options, uint64_t timeout_ns)
{
    struct ouro_connect c;

    if (out == NULL)
        return -EINVAL;
    ouro_connect_with_start(&c, addr, options);
    return finish_wait(&c, out, timeout_ns);
}
