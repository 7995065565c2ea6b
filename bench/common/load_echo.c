/* SPDX-License-Identifier: MIT */
/*
 * Closed loop: every connection has one request in flight. The client is meant to cost less than
 * the server it measures: sends tell only of failure (CQE_SKIP), receives are multishot, the clock
 * is read once per turn, and unless the content is verified the answer's bytes are counted but not
 * copied (MSG_TRUNC). A latency runs from the turn that sent the request to the turn that took the
 * last byte of its answer, so a queue inside the client is part of it.
 */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SQ_ENTRIES 4096
#define BUFFERS    256
#define GROUP      0
#define SENT_BIT   (UINT64_C(1) << 32)

struct connection {
    uint64_t sent_ns;
    unsigned received; /* of the current answer */
    bool dead;
    bool starved; /* its receive ended for want of buffers */
};

struct echo {
    struct load_client *client;
    struct connection *connections;
    unsigned alive;
    unsigned starved;
    const char *pattern;
    unsigned bytes;
    char *memory;
    unsigned buffer_bytes;
    struct io_uring_buf_ring *provided;
    int returned;
};

static int connect_one(const struct load_options *options)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        load_fail("socket", errno);
    if (connect(fd, (const struct sockaddr *)&options->server, sizeof options->server))
        load_fail("connect", errno);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        load_fail("TCP_NODELAY", errno);
    return fd;
}

static void connect_all(struct echo *echo)
{
    unsigned count = echo->client->connections;
    int *fds = calloc(count, sizeof *fds), error;

    echo->connections = calloc(count, sizeof *echo->connections);
    if (!fds || !echo->connections)
        load_fail("connections", ENOMEM);
    for (unsigned i = 0; i < count; i++)
        fds[i] = connect_one(echo->client->options);
    error = io_uring_register_files(&echo->client->ring, fds, count);
    if (error)
        load_fail("table of direct descriptors", error);
    echo->alive = count;
    free(fds);
}

static void give_back(struct echo *echo, int buffer)
{
    char *memory = echo->memory + (size_t)buffer * echo->buffer_bytes;

    io_uring_buf_ring_add(echo->provided, memory, echo->buffer_bytes, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), echo->returned++);
}

static void publish(struct echo *echo)
{
    io_uring_buf_ring_advance(echo->provided, echo->returned);
    echo->returned = 0;
}

static void provide_buffers(struct echo *echo)
{
    int error;

    echo->buffer_bytes = echo->bytes < 1024 ? 1024 : echo->bytes > 65536 ? 65536 : echo->bytes;
    echo->memory = calloc(BUFFERS, echo->buffer_bytes);
    if (!echo->memory)
        load_fail("buffers", ENOMEM);
    echo->provided = io_uring_setup_buf_ring(&echo->client->ring, BUFFERS, GROUP, 0, &error);
    if (!echo->provided)
        load_fail("ring of provided buffers", error);
    for (int i = 0; i < BUFFERS; i++)
        give_back(echo, i);
    publish(echo);
}

static void arm_receive(struct echo *echo, unsigned index)
{
    struct io_uring_sqe *sqe = load_sqe(echo->client);
    int flags = echo->client->options->verify ? 0 : MSG_TRUNC;

    io_uring_prep_recv_multishot(sqe, (int)index, NULL, 0, flags);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = index;
}

static void send_request(struct echo *echo, unsigned index, uint64_t now)
{
    struct io_uring_sqe *sqe = load_sqe(echo->client);
    struct connection *c = &echo->connections[index];

    io_uring_prep_send(sqe, (int)index, echo->pattern, echo->bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = index | SENT_BIT;
    c->sent_ns = now;
    c->received = 0;
}

static void lose(struct echo *echo, unsigned index, int error)
{
    struct connection *c = &echo->connections[index];

    if (c->dead)
        return;
    c->dead = true;
    echo->client->result.errors++;
    if (--echo->alive == 0)
        load_fail("every connection is lost, the last one", error ? error : ECONNRESET);
}

static void on_data(struct echo *echo, unsigned index, int buffer, unsigned length, uint64_t now)
{
    struct connection *c = &echo->connections[index];
    const char *data = echo->memory + (size_t)buffer * echo->buffer_bytes;
    bool wrong = c->received + length > echo->bytes;

    if (!wrong && echo->client->options->verify)
        wrong = memcmp(data, echo->pattern + c->received, length) != 0;
    if (wrong) {
        lose(echo, index, EBADMSG);
        return;
    }
    c->received += length;
    if (c->received < echo->bytes)
        return;
    load_record(echo->client, now - c->sent_ns);
    send_request(echo, index, now);
}

static void on_receive(struct echo *echo, const struct io_uring_cqe *cqe, uint64_t now)
{
    unsigned index = (unsigned)cqe->user_data;
    struct connection *c = &echo->connections[index];

    if (cqe->flags & IORING_CQE_F_BUFFER) {
        int buffer = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

        if (cqe->res > 0 && !c->dead)
            on_data(echo, index, buffer, (unsigned)cqe->res, now);
        give_back(echo, buffer);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res == -ENOBUFS || cqe->res > 0) {
        c->starved = true;
        echo->starved++;
    } else {
        lose(echo, index, cqe->res);
    }
}

static void feed_starved(struct echo *echo)
{
    for (unsigned i = 0; i < echo->client->connections && echo->starved; i++) {
        if (!echo->connections[i].starved)
            continue;
        echo->connections[i].starved = false;
        echo->starved--;
        arm_receive(echo, i);
    }
}

static void turn(struct echo *echo)
{
    struct load_client *client = echo->client;
    uint64_t now = load_turn(client);
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&client->ring, head, cqe)
    {
        count++;
        if (cqe->user_data == LOAD_TIMER)
            continue;
        if (cqe->user_data & SENT_BIT)
            lose(echo, (unsigned)cqe->user_data, cqe->res);
        else
            on_receive(echo, cqe, now);
    }
    if (echo->returned)
        publish(echo);
    if (echo->starved)
        feed_starved(echo);
    io_uring_cq_advance(&client->ring, count);
}

/* A request that was never answered belongs to the slowest ones, not to the forgotten ones. */
static void count_unanswered(struct echo *echo)
{
    uint64_t now = bench_now_ns();
    struct histogram *latency = &echo->client->result.latency;

    for (unsigned i = 0; i < echo->client->connections; i++) {
        const struct connection *c = &echo->connections[i];

        if (!c->dead && now - c->sent_ns > latency->maximum)
            latency->maximum = now - c->sent_ns;
    }
}

void load_echo(struct load_client *client)
{
    struct echo echo = {
        .client = client,
        .bytes = client->options->bytes,
        .pattern = load_pattern(client->options->bytes),
    };
    uint64_t now;

    load_make_ring(client, SQ_ENTRIES);
    connect_all(&echo);
    provide_buffers(&echo);
    load_start(client);
    now = bench_now_ns();
    for (unsigned i = 0; i < client->connections; i++) {
        arm_receive(&echo, i);
        send_request(&echo, i, now);
    }
    while (client->phase != LOAD_DONE)
        turn(&echo);
    count_unanswered(&echo);
}
