/* SPDX-License-Identifier: MIT */
/*
 * The ceiling: a TCP echo server on io_uring with no runtime around it, one pinned thread and one
 * ring per CPU. Connections are direct descriptors from a multishot accept; the descriptor is the
 * index of the connection's state.
 *
 *   --recv multishot  one receive per connection stays armed and takes buffers from a provided
 *                     ring; a buffer is sent from in place, and given back when it is sent
 *   --recv oneshot    each connection has a buffer and alternates receive and send, as a fiber
 *                     does that receives into an array on its stack
 *
 * A slot is closed only when nothing is in flight on it, so that no completion can meet the next
 * connection in the same slot:
 *
 *     open --end or error--> closing --!receiving && !sending && !parked && !shutting--> closed
 *
 * It is a measuring stick, not a service: a peer that sends and never reads can hold all buffers.
 */
#include "common/server.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SQ_ENTRIES 2048
#define CQ_ENTRIES 16384
#define CACHE_LINE 64
#define NONE       (-1)
#define GROUP      0

enum kind { ACCEPT, RECEIVE, SEND, SHUTDOWN, CLOSE };

struct options {
    struct server_options server;
    bool multishot;
    bool poll_first;
    unsigned buffer_bytes;
    unsigned buffers;
    unsigned connections;
};

/* A received piece in a provided buffer, linked in the order in which it must be sent. */
struct piece {
    unsigned length;
    unsigned offset;
    int next;
};

struct connection {
    int head; /* pieces to send, the first one is being sent; NONE: empty */
    int tail;
    bool receiving; /* a receive is armed */
    bool sending;
    bool parked; /* waits for a provided buffer */
    bool closing;
    bool shutting; /* a shutdown is in flight */
    int next_parked;
};

struct loop {
    struct io_uring ring;
    struct server_counters *counters;
    const struct options *options;
    int listener;
    struct connection *connections;
    struct piece *pieces; /* per provided buffer, or per connection without them */
    char *memory;
    size_t stride; /* from one buffer to the next */
    struct io_uring_buf_ring *provided;
    int returned;  /* buffers added to the ring but not yet published */
    unsigned held; /* buffers that are ours: received into and not yet given back */
    int parked_head;
    int parked_tail;
    bool accept_paused; /* the table of direct descriptors was full */
};

/* user_data: kind in the upper byte, buffer in the next three, connection in the lower half. */
static uint64_t tag(enum kind kind, int buffer, int connection)
{
    return (uint64_t)kind << 56 | (uint64_t)(unsigned)buffer << 32 | (unsigned)connection;
}

static inline char *buffer_at(const struct loop *loop, int buffer)
{
    return loop->memory + (size_t)buffer * loop->stride;
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
    const struct options *options = loop->options;

    if (options->multishot) {
        io_uring_prep_recv_multishot(sqe, index, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    } else {
        char *buffer = buffer_at(loop, index);

        io_uring_prep_recv(sqe, index, buffer, options->buffer_bytes, 0);
    }
    sqe->flags |= IOSQE_FIXED_FILE;
    if (options->poll_first)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->user_data = tag(RECEIVE, 0, index);
    loop->connections[index].receiving = true;
}

static inline void send_piece(struct loop *loop, int index)
{
    struct connection *c = &loop->connections[index];
    struct piece *piece = &loop->pieces[c->head];
    char *from = buffer_at(loop, c->head) + piece->offset;
    struct io_uring_sqe *sqe = next_sqe(loop);

    io_uring_prep_send(sqe, index, from, piece->length - piece->offset, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag(SEND, c->head, index);
    c->sending = true;
}

static inline void give_back(struct loop *loop, int buffer)
{
    const struct options *options = loop->options;
    char *memory = buffer_at(loop, buffer);

    loop->held--;
    if (!options->multishot)
        return;
    io_uring_buf_ring_add(loop->provided, memory, options->buffer_bytes, (unsigned short)buffer,
                          io_uring_buf_ring_mask(options->buffers), loop->returned++);
}

static void close_when_idle(struct loop *loop, int index)
{
    struct connection *c = &loop->connections[index];
    struct io_uring_sqe *sqe;

    if (!c->closing || c->sending || c->receiving || c->parked || c->shutting)
        return;
    while (c->head != NONE) {
        int buffer = c->head;

        c->head = loop->pieces[buffer].next;
        give_back(loop, buffer);
    }
    sqe = next_sqe(loop);
    io_uring_prep_close_direct(sqe, (unsigned)index);
    sqe->user_data = tag(CLOSE, 0, index);
    if (loop->accept_paused) {
        loop->accept_paused = false;
        arm_accept(loop);
    }
}

static void park(struct loop *loop, int index)
{
    loop->connections[index].parked = true;
    loop->connections[index].next_parked = NONE;
    if (loop->parked_head == NONE)
        loop->parked_head = index;
    else
        loop->connections[loop->parked_tail].next_parked = index;
    loop->parked_tail = index;
}

/* As many receives as there are buffers that are not ours; the others would fail again. */
static void unpark(struct loop *loop)
{
    unsigned free = loop->options->buffers - loop->held;

    while (free-- && loop->parked_head != NONE) {
        int index = loop->parked_head;
        struct connection *c = &loop->connections[index];

        loop->parked_head = c->next_parked;
        c->parked = false;
        if (c->closing)
            close_when_idle(loop, index);
        else
            arm_receive(loop, index);
    }
}

static void on_accept(struct loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) {
        loop->connections[cqe->res] = (struct connection){.head = NONE, .tail = NONE};
        server_count(&loop->counters->connections, 1);
        arm_receive(loop, cqe->res);
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

static void on_received(struct loop *loop, int index, int buffer, int length)
{
    struct connection *c = &loop->connections[index];

    loop->held++;
    loop->pieces[buffer] = (struct piece){.length = (unsigned)length, .next = NONE};
    if (c->head == NONE) {
        c->head = c->tail = buffer;
        send_piece(loop, index);
    } else {
        loop->pieces[c->tail].next = buffer;
        c->tail = buffer;
    }
}

static void on_receive(struct loop *loop, int index, const struct io_uring_cqe *cqe)
{
    struct connection *c = &loop->connections[index];
    bool multishot = loop->options->multishot;

    if (!(cqe->flags & IORING_CQE_F_MORE))
        c->receiving = false;
    if (cqe->res > 0) {
        int buffer = multishot ? (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) : index;

        on_received(loop, index, buffer, cqe->res);
        if (!multishot || c->receiving)
            return;
        if (c->closing)
            close_when_idle(loop, index);
        else
            arm_receive(loop, index);
    } else if (cqe->res == -ENOBUFS) {
        park(loop, index);
    } else if (!c->receiving) {
        if (cqe->res < 0)
            server_count(&loop->counters->errors, 1);
        c->closing = true;
        close_when_idle(loop, index);
    }
}

static void on_send_error(struct loop *loop, int index)
{
    struct io_uring_sqe *sqe = next_sqe(loop);

    server_count(&loop->counters->errors, 1);
    loop->connections[index].closing = true;
    loop->connections[index].shutting = true;
    io_uring_prep_shutdown(sqe, index, SHUT_RDWR); /* ends the armed receive */
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag(SHUTDOWN, 0, index);
    close_when_idle(loop, index);
}

static void on_send(struct loop *loop, int index, int result)
{
    struct connection *c = &loop->connections[index];
    int buffer = c->head;
    struct piece *piece = &loop->pieces[buffer];

    c->sending = false;
    if (result < 0) {
        on_send_error(loop, index);
        return;
    }
    server_count(&loop->counters->bytes, (uint64_t)result);
    piece->offset += (unsigned)result;
    if (piece->offset < piece->length) {
        send_piece(loop, index);
        return;
    }
    server_count(&loop->counters->requests, 1);
    c->head = piece->next;
    give_back(loop, buffer);
    if (c->head != NONE)
        send_piece(loop, index);
    else if (c->closing)
        close_when_idle(loop, index);
    else if (!loop->options->multishot)
        arm_receive(loop, index);
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
    case SHUTDOWN:
        loop->connections[index].shutting = false;
        close_when_idle(loop, index);
        break;
    default: /* CLOSE: nothing depends on how it ends */
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
    if (loop->returned) {
        io_uring_buf_ring_advance(loop->provided, loop->returned);
        loop->returned = 0;
    }
    if (loop->parked_head != NONE)
        unpark(loop);
    io_uring_cq_advance(&loop->ring, count);
}

/* DEFER_TASKRUN is the floor (6.1); NO_SQARRAY came later and is left out where it is refused. */
static void make_ring(struct loop *loop)
{
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE;
    struct io_uring_params params = {
        .flags = flags | IORING_SETUP_NO_SQARRAY,
        .cq_entries = CQ_ENTRIES,
    };
    int error = io_uring_queue_init_params(SQ_ENTRIES, &loop->ring, &params);

    if (error == -EINVAL) {
        params = (struct io_uring_params){.flags = flags, .cq_entries = CQ_ENTRIES};
        error = io_uring_queue_init_params(SQ_ENTRIES, &loop->ring, &params);
    }
    if (error)
        server_fail("io_uring_setup", error);
    io_uring_register_ring_fd(&loop->ring); /* only an optimisation: may be refused */
    error = io_uring_register_files_sparse(&loop->ring, loop->options->connections);
    if (error)
        server_fail("table of direct descriptors", error);
}

static void make_memory(struct loop *loop)
{
    const struct options *options = loop->options;
    unsigned count = options->multishot ? options->buffers : options->connections;
    size_t lines = (options->buffer_bytes + CACHE_LINE - 1) / CACHE_LINE, bytes;

    /* An odd number of lines: spaced by a power of two, the buffers' first lines, which is all
     * that small requests touch, would share a few sets of the cache. */
    loop->stride = (lines | 1) * CACHE_LINE;
    bytes = count * loop->stride;
    loop->connections = calloc(options->connections, sizeof *loop->connections);
    loop->pieces = calloc(count, sizeof *loop->pieces);
    loop->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!loop->connections || !loop->pieces || loop->memory == MAP_FAILED)
        server_fail("memory", ENOMEM);
    madvise(loop->memory, bytes, MADV_HUGEPAGE);
    if (options->multishot)
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
    if (loop->options->multishot)
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
    case 'r':
        options->multishot = !strcmp(text, "multishot");
        if (!options->multishot && strcmp(text, "oneshot"))
            argp_error(state, "--recv is multishot or oneshot, not '%s'", text);
        options->server.name = options->multishot ? "uring" : "uring-oneshot";
        break;
    case 'b':
        options->buffer_bytes = (unsigned)server_number(state, text, 1, 1 << 24);
        break;
    case 'n':
        options->buffers = (unsigned)server_number(state, text, 1, 32768);
        if (options->buffers & (options->buffers - 1))
            argp_error(state, "--buffers must be a power of two");
        break;
    case 'p':
        options->poll_first = server_number(state, text, 0, 1);
        break;
    case 'm':
        options->connections = (unsigned)server_number(state, text, 1, 1 << 20);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"recv", 'r', "MODE", 0, "multishot (the default) or oneshot", 0},
        {"buffer", 'b', "BYTES", 0, "size of a receive buffer (2048)", 0},
        {"buffers", 'n', "N", 0, "provided buffers of each thread, a power of two (256)", 0},
        {"poll-first", 'p', "0|1", 0, "receive only after a poll (0)", 0},
        {"connections", 'm', "N", 0, "most connections of each thread (4096)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&server_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc = "Echoes TCP on bare io_uring: what a runtime on top of it is measured against.",
        .children = children,
    };
    struct options options = {
        .server = {.name = "uring"},
        .multishot = true,
        .buffer_bytes = 2048,
        .buffers = 256,
        .connections = 4096,
    };

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return server_run(&options.server, run, &options);
}
