/* SPDX-License-Identifier: MIT */
/*
 * The ceiling of a proxy: a TCP relay on io_uring with no runtime around it, one pinned thread and
 * one ring per CPU. A client is accepted into slot i of the direct descriptors, i < N, and the
 * connection to the backend that is made for it is opened in slot i + N; N is a power of two, so
 * that the other side of either is one bit away.
 *
 *     client --multishot receive--> provided buffer --send in place--> backend, and the reverse
 *
 * One send is in flight in each direction, what is received meanwhile queues.
 *
 *     accepted --> connecting --> relaying --both ended and drained, or failed--> idle --> closed
 *
 * The end of one side's stream is passed on as the end of writing to the other. Slots are closed
 * only when nothing is in flight on either, so that no completion can meet their next connection.
 * It is a measuring stick, not a service: a side that never reads can hold all buffers.
 */
#include "common/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SQ_ENTRIES 2048
#define CQ_ENTRIES 16384
#define CACHE_LINE 64
#define NONE       (-1)
#define GROUP      0

enum kind { ACCEPT, CONNECT, RECEIVE, SEND, SHUTDOWN, CLOSE };

struct options {
    struct server_options server;
    struct sockaddr_in backend;
    unsigned buffer_bytes;
    unsigned buffers;
    unsigned connections; /* N */
};

/* A received piece in a provided buffer, linked in the order in which it must be sent. */
struct piece {
    unsigned length;
    unsigned offset;
    int next;
};

/* One of the two sockets of a relay. */
struct side {
    int head; /* pieces to send to it, the first one is being sent; NONE: empty */
    int tail;
    bool receiving; /* a receive is armed */
    bool sending;
    bool parked; /* waits for a provided buffer */
    bool ended;  /* it has sent all that it will */
    int next_parked;
    int shutting; /* shutdowns in flight; a kernel worker does them after what was queued later */
    bool connecting; /* of a client's side: the backend's is not open yet */
    bool failed;     /* of a client's side: the relay */
};

struct loop {
    struct io_uring ring;
    struct server_counters *counters;
    const struct options *options;
    int listener;
    struct side *sides;   /* per direct descriptor */
    struct piece *pieces; /* per provided buffer */
    char *memory;
    size_t stride; /* from one buffer to the next */
    struct io_uring_buf_ring *provided;
    int returned;  /* buffers added to the ring but not yet published */
    unsigned held; /* buffers that are ours: received into and not yet given back */
    int parked_head;
    int parked_tail;
    bool accept_paused; /* the table of direct descriptors was full */
};

/* user_data: kind in the upper byte, buffer in the next three, side in the lower half. */
static uint64_t tag(enum kind kind, int buffer, int side)
{
    return (uint64_t)kind << 56 | (uint64_t)(unsigned)buffer << 32 | (unsigned)side;
}

static inline int other(const struct loop *loop, int side)
{
    return side ^ (int)loop->options->connections;
}

static inline int client_of(const struct loop *loop, int side)
{
    return side & ((int)loop->options->connections - 1);
}

static void check_enter(struct loop *loop, int result)
{
    server_count(&loop->counters->system_calls, 1);
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
        server_fail("io_uring_enter", result);
}

static inline struct io_uring_sqe *next_sqe(struct loop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

    while (__builtin_expect(!sqe, 0)) {
        check_enter(loop, io_uring_submit(&loop->ring));
        sqe = io_uring_get_sqe(&loop->ring);
    }
    return sqe;
}

static void arm_accept(struct loop *loop)
{
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_multishot_accept_direct(sqe, loop->listener, NULL, NULL, 0);
    sqe->user_data = tag(ACCEPT, 0, 0);
}

static void arm_receive(struct loop *loop, int index)
{
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_recv_multishot(sqe, index, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = tag(RECEIVE, 0, index);
    loop->sides[index].receiving = true;
}

static inline void send_piece(struct loop *loop, int index)
{
    struct side *to = &loop->sides[index];
    struct piece *piece = &loop->pieces[to->head];
    char *from = loop->memory + (size_t)to->head * loop->stride + piece->offset;
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_send(sqe, index, from, piece->length - piece->offset, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag(SEND, to->head, index);
    to->sending = true;
}

static inline void give_back(struct loop *loop, int buffer)
{
    const struct options *options = loop->options;
    char *memory = loop->memory + (size_t)buffer * loop->stride;

    loop->held--;
    io_uring_buf_ring_add(loop->provided, memory, options->buffer_bytes, (unsigned short)buffer,
                          io_uring_buf_ring_mask(options->buffers), loop->returned++);
}

static void shut(struct loop *loop, int index, int how)
{
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_shutdown(sqe, index, how);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag(SHUTDOWN, 0, index);
    loop->sides[index].shutting++;
}

/* Gives back what is queued for a side, except while the kernel sends from the first piece. */
static void drop_pieces(struct loop *loop, int index)
{
    struct side *side = &loop->sides[index];

    while (side->head != NONE && !side->sending) {
        int buffer = side->head;

        side->head = loop->pieces[buffer].next;
        give_back(loop, buffer);
    }
}

static void close_slot(struct loop *loop, int index)
{
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_close_direct(sqe, (unsigned)index);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tag(CLOSE, 0, index);
}

static inline bool busy(const struct side *side)
{
    return side->receiving || side->sending || side->parked || side->shutting;
}

static void close_when_idle(struct loop *loop, int index)
{
    int client = client_of(loop, index), server = other(loop, client);
    const struct side *c = &loop->sides[client], *s = &loop->sides[server];
    bool done = c->ended && s->ended && c->head == NONE && s->head == NONE;

    if (!(c->failed || done) || c->connecting || busy(c) || busy(s))
        return;
    close_slot(loop, server); /* first: a new client may only find both slots free */
    close_slot(loop, client);
    if (loop->accept_paused) {
        loop->accept_paused = false;
        arm_accept(loop);
    }
}

/* Ends the receives that are armed and the sends that wait on both sides. Buffers are given back at
 * once: were they kept until both sides are idle, those that are parked could wait for them. */
static void fail(struct loop *loop, int index)
{
    struct side *client = &loop->sides[client_of(loop, index)];

    if (!client->failed) {
        client->failed = true;
        server_count(&loop->counters->errors, 1);
        shut(loop, index, SHUT_RDWR);
        shut(loop, other(loop, index), SHUT_RDWR);
    }
    drop_pieces(loop, index);
    drop_pieces(loop, other(loop, index));
    close_when_idle(loop, index);
}

static void park(struct loop *loop, int index)
{
    loop->sides[index].parked = true;
    loop->sides[index].next_parked = NONE;
    if (loop->parked_head == NONE)
        loop->parked_head = index;
    else
        loop->sides[loop->parked_tail].next_parked = index;
    loop->parked_tail = index;
}

/* As many receives as there are buffers that are not ours; the others would fail again. */
static void unpark(struct loop *loop)
{
    unsigned free = loop->options->buffers - loop->held;

    while (free-- && loop->parked_head != NONE) {
        int index = loop->parked_head;
        struct side *side = &loop->sides[index];

        loop->parked_head = side->next_parked;
        side->parked = false;
        if (loop->sides[client_of(loop, index)].failed)
            close_when_idle(loop, index);
        else
            arm_receive(loop, index);
    }
}

/* socket, TCP_NODELAY, connect: linked, and exactly one completion, of the last or of what fails */
static void open_server(struct loop *loop, int client)
{
    static int on = 1; /* read when the operation runs */
    int server = other(loop, client);
    struct io_uring_sqe *sqe;

    loop->sides[client] = (struct side){.head = NONE, .connecting = true};
    loop->sides[server] = (struct side){.head = NONE};
    if (io_uring_sq_space_left(&loop->ring) < 3) /* a chain ends where a submission does */
        check_enter(loop, io_uring_submit(&loop->ring));
    sqe = next_sqe(loop);
    io_uring_prep_socket_direct(sqe, AF_INET, SOCK_STREAM, 0, (unsigned)server, 0);
    sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tag(CONNECT, 0, client);
    sqe = next_sqe(loop);
    io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SETSOCKOPT, server, IPPROTO_TCP, TCP_NODELAY, &on,
                           sizeof on);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tag(CONNECT, 0, client);
    sqe = next_sqe(loop);
    io_uring_prep_connect(sqe, server, (const struct sockaddr *)&loop->options->backend,
                          sizeof loop->options->backend);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag(CONNECT, 0, client);
}

static void on_accept(struct loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) {
        server_count(&loop->counters->connections, 1);
        open_server(loop, cqe->res);
    } else {
        server_count(&loop->counters->errors, 1);
        if (cqe->res == -EINVAL || cqe->res == -EBADF || cqe->res == -EOPNOTSUPP)
            server_fail("accept", cqe->res);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res == -ENFILE)
        loop->accept_paused = true;
    else
        arm_accept(loop);
}

static void on_connect(struct loop *loop, int client, int result)
{
    loop->sides[client].connecting = false;
    if (result < 0) {
        fail(loop, client);
        return;
    }
    arm_receive(loop, client);
    arm_receive(loop, other(loop, client));
}

static inline void on_received(struct loop *loop, int index, int buffer, int length)
{
    int to_index = other(loop, index);
    struct side *to = &loop->sides[to_index];

    loop->held++;
    loop->pieces[buffer] = (struct piece){.length = (unsigned)length, .next = NONE};
    if (loop->sides[client_of(loop, index)].failed) {
        give_back(loop, buffer);
    } else if (to->head == NONE) {
        to->head = to->tail = buffer;
        send_piece(loop, to_index);
    } else {
        loop->pieces[to->tail].next = buffer;
        to->tail = buffer;
    }
}

static void on_end(struct loop *loop, int index)
{
    int to = other(loop, index);

    loop->sides[index].ended = true;
    if (loop->sides[to].head == NONE)
        shut(loop, to, SHUT_WR);
    close_when_idle(loop, index);
}

static void on_receive(struct loop *loop, int index, const struct io_uring_cqe *cqe)
{
    struct side *side = &loop->sides[index];

    if (!(cqe->flags & IORING_CQE_F_MORE))
        side->receiving = false;
    if (cqe->res > 0) {
        on_received(loop, index, (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), cqe->res);
        if (side->receiving)
            return;
        if (loop->sides[client_of(loop, index)].failed)
            close_when_idle(loop, index);
        else
            arm_receive(loop, index);
    } else if (cqe->res == -ENOBUFS) {
        park(loop, index);
    } else if (cqe->res == 0) {
        on_end(loop, index);
    } else {
        fail(loop, index);
    }
}

static void on_send(struct loop *loop, int index, int result)
{
    struct side *to = &loop->sides[index];
    int buffer = to->head;
    struct piece *piece = &loop->pieces[buffer];

    to->sending = false;
    if (result < 0 || loop->sides[client_of(loop, index)].failed) {
        fail(loop, index);
        return;
    }
    server_count(&loop->counters->bytes, (uint64_t)result);
    piece->offset += (unsigned)result;
    if (piece->offset < piece->length) {
        send_piece(loop, index);
        return;
    }
    server_count(&loop->counters->requests, 1);
    to->head = piece->next;
    give_back(loop, buffer);
    if (to->head != NONE) {
        send_piece(loop, index);
    } else if (loop->sides[other(loop, index)].ended) {
        shut(loop, index, SHUT_WR);
        close_when_idle(loop, index);
    }
}

static void dispatch(struct loop *loop, const struct io_uring_cqe *cqe)
{
    int index = (int)(cqe->user_data & 0xffffffff);

    switch (cqe->user_data >> 56) {
    case RECEIVE:
        on_receive(loop, index, cqe);
        break;
    case SEND:
        on_send(loop, index, cqe->res);
        break;
    case ACCEPT:
        on_accept(loop, cqe);
        break;
    case CONNECT:
        on_connect(loop, index, cqe->res);
        break;
    case SHUTDOWN: /* the side may have gone away before: however it ended, it is over */
        loop->sides[index].shutting--;
        close_when_idle(loop, index);
        break;
    default: /* CLOSE: cannot fail in a way that matters */
        break;
    }
}

static void turn(struct loop *loop)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    check_enter(loop, io_uring_submit_and_wait(&loop->ring, 1));
    io_uring_for_each_cqe(&loop->ring, head, cqe)
    {
        count++;
        dispatch(loop, cqe);
    }
    io_uring_cq_advance(&loop->ring, count);
    if (loop->returned) {
        io_uring_buf_ring_advance(loop->provided, loop->returned);
        loop->returned = 0;
    }
    if (loop->parked_head != NONE)
        unpark(loop);
}

static void make_ring(struct loop *loop)
{
    unsigned n = loop->options->connections;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_NO_SQARRAY,
        .cq_entries = CQ_ENTRIES,
    };
    int error = io_uring_queue_init_params(SQ_ENTRIES, &loop->ring, &params);

    if (error)
        server_fail("io_uring_setup", error);
    io_uring_register_ring_fd(&loop->ring);  /* only an optimisation: may be refused */
    io_uring_set_iowait(&loop->ring, false); /* likewise */
    error = io_uring_register_files_sparse(&loop->ring, 2 * n);
    if (!error)
        error = io_uring_register_file_alloc_range(&loop->ring, 0, n);
    if (error)
        server_fail("table of direct descriptors", error);
}

static void make_memory(struct loop *loop)
{
    const struct options *options = loop->options;
    size_t lines = (options->buffer_bytes + CACHE_LINE - 1) / CACHE_LINE, bytes;

    /* An odd number of lines: spaced by a power of two, the buffers' first lines, which is all
     * that small requests touch, would share a few sets of the cache. */
    loop->stride = (lines | 1) * CACHE_LINE;
    bytes = options->buffers * loop->stride;
    loop->sides = calloc(2 * (size_t)options->connections, sizeof *loop->sides);
    loop->pieces = calloc(options->buffers, sizeof *loop->pieces);
    loop->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!loop->sides || !loop->pieces || loop->memory == MAP_FAILED)
        server_fail("memory", ENOMEM);
    madvise(loop->memory, bytes, MADV_HUGEPAGE);
    madvise(loop->memory, bytes, MADV_POPULATE_WRITE);
}

static void provide_buffers(struct loop *loop)
{
    unsigned count = loop->options->buffers;
    int error;

    loop->provided = io_uring_setup_buf_ring(&loop->ring, count, GROUP, 0, &error);
    if (!loop->provided)
        server_fail("ring of provided buffers", error);
    loop->held = count;
    for (unsigned i = 0; i < count; i++)
        give_back(loop, (int)i);
    io_uring_buf_ring_advance(loop->provided, loop->returned);
    loop->returned = 0;
}

static void run(struct server_worker *worker)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        server_fail("memory", ENOMEM);
    loop->counters = &worker->counters;
    loop->options = worker->options;
    loop->listener = worker->listener;
    loop->parked_head = NONE;
    make_ring(loop);
    make_memory(loop);
    provide_buffers(loop);
    arm_accept(loop);
    for (;;)
        turn(loop);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->server;
        break;
    case 'B':
        options->backend.sin_port = htons((uint16_t)server_number(state, text, 1, 65535));
        break;
    case 'b':
        options->buffer_bytes = (unsigned)server_number(state, text, 1, 1 << 24);
        break;
    case 'n':
        options->buffers = (unsigned)server_number(state, text, 1, 32768);
        if (options->buffers & (options->buffers - 1))
            argp_error(state, "--buffers must be a power of two");
        break;
    case 'm':
        options->connections = (unsigned)server_number(state, text, 1, 1 << 20);
        if (options->connections & (options->connections - 1))
            argp_error(state, "--connections must be a power of two");
        break;
    case ARGP_KEY_END:
        if (!options->backend.sin_port)
            argp_error(state, "--backend-port is missing");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"backend-port", 'B', "PORT", 0, "relay to this port on 127.0.0.1", 0},
        {"buffer", 'b', "BYTES", 0, "size of a receive buffer (2048)", 0},
        {"buffers", 'n', "N", 0, "provided buffers of each thread, a power of two (256)", 0},
        {"connections", 'm', "N", 0, "most clients of each thread, a power of two (4096)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&server_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc = "Relays TCP on bare io_uring: what a proxy on top of it is measured against.",
        .children = children,
    };
    struct options options = {
        .server = {.name = "uring-relay"},
        .backend = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .buffer_bytes = 2048,
        .buffers = 256,
        .connections = 4096,
    };

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return server_run(&options.server, run, &options);
}
