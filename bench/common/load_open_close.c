/* SPDX-License-Identifier: MIT */
/*
 * A new connection for every request: connect, send, receive all, close, again. A latency runs
 * from the start of the connect to the last byte. Towards a server on loopback the clients' source
 * addresses rotate through 127.0.0.0/8, because one address has no more than 28,000 ports and each
 * stays taken for a minute after it was used.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SQ_ENTRIES 4096
#define SOURCES    4096

enum step { CONNECT, SEND, RECEIVE };

struct slot {
    uint64_t started_ns;
    int fd;
    unsigned in_flight;
    bool failed;
};

struct churn {
    struct load_client *client;
    struct slot *slots;
    const char *pattern;
    char *memory;
    uint64_t opened;
};

/* The prep helpers leave user_data as it is. */
static struct io_uring_sqe *step_sqe(struct churn *churn, unsigned index, enum step step)
{
    struct io_uring_sqe *sqe = load_sqe(churn->client);

    churn->slots[index].in_flight++;
    sqe->user_data = (uint64_t)step << 32 | index;
    return sqe;
}

static void choose_source(struct churn *churn, int fd)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    uint32_t host = 0x7f000002u + (uint32_t)(churn->opened++ % SOURCES);
    int one = 1;

    source.sin_addr.s_addr = htonl(host);
    /* The port is chosen at connect: then it need not be free towards every destination. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&source, sizeof source))
        load_fail("source address", errno);
}

static void open_slot(struct churn *churn, unsigned index, uint64_t now)
{
    const struct sockaddr_in *server = &churn->client->options->server;
    struct slot *slot = &churn->slots[index];
    struct io_uring_sqe *sqe;

    slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (slot->fd < 0)
        load_fail("socket", errno);
    if (ntohl(server->sin_addr.s_addr) >> 24 == 127)
        choose_source(churn, slot->fd);
    slot->started_ns = now;
    slot->failed = false;
    sqe = step_sqe(churn, index, CONNECT);
    io_uring_prep_connect(sqe, slot->fd, (const struct sockaddr *)server, sizeof *server);
}

static void exchange(struct churn *churn, unsigned index)
{
    unsigned bytes = churn->client->options->bytes;
    struct slot *slot = &churn->slots[index];
    struct io_uring_sqe *sqe = step_sqe(churn, index, SEND);

    io_uring_prep_send(sqe, slot->fd, churn->pattern, bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe = step_sqe(churn, index, RECEIVE);
    io_uring_prep_recv(sqe, slot->fd, churn->memory + (size_t)index * bytes, bytes, MSG_WAITALL);
}

static void finish(struct churn *churn, unsigned index, uint64_t now)
{
    struct slot *slot = &churn->slots[index];

    if (slot->failed)
        churn->client->result.errors++;
    else
        load_record(churn->client, now - slot->started_ns);
    close(slot->fd);
    open_slot(churn, index, now);
}

static bool answered(struct churn *churn, unsigned index, int result)
{
    unsigned bytes = churn->client->options->bytes;

    if (result != (int)bytes)
        return false;
    return !churn->client->options->verify ||
           !memcmp(churn->memory + (size_t)index * bytes, churn->pattern, bytes);
}

static void on_step(struct churn *churn, const struct io_uring_cqe *cqe, uint64_t now)
{
    unsigned index = (unsigned)cqe->user_data;
    struct slot *slot = &churn->slots[index];

    slot->in_flight--;
    switch ((enum step)(cqe->user_data >> 32)) {
    case CONNECT:
        if (cqe->res == 0)
            exchange(churn, index);
        else
            slot->failed = true;
        break;
    case SEND:
        if (cqe->res != (int)churn->client->options->bytes) {
            slot->failed = true;
            shutdown(slot->fd, SHUT_RDWR); /* ends the receive */
        }
        break;
    case RECEIVE:
        if (!answered(churn, index, cqe->res))
            slot->failed = true;
        break;
    }
    if (!slot->in_flight)
        finish(churn, index, now);
}

static void turn(struct churn *churn)
{
    struct load_client *client = churn->client;
    uint64_t now = load_turn(client);
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&client->ring, head, cqe)
    {
        count++;
        if (cqe->user_data != LOAD_TIMER)
            on_step(churn, cqe, now);
    }
    io_uring_cq_advance(&client->ring, count);
}

void load_open_close(struct load_client *client)
{
    struct churn churn = {
        .client = client,
        .slots = calloc(client->connections, sizeof *churn.slots),
        .memory = calloc(client->connections, client->options->bytes),
        .pattern = load_pattern(client->options->bytes),
    };

    if (!churn.slots || !churn.memory)
        load_fail("connections", ENOMEM);
    load_make_ring(client, SQ_ENTRIES);
    load_start(client);
    for (unsigned i = 0; i < client->connections; i++)
        open_slot(&churn, i, bench_now_ns());
    while (client->phase != LOAD_DONE)
        turn(&churn);
}
