/* SPDX-License-Identifier: MIT */
/*
 * The readiness baseline: a TCP echo server on epoll, one pinned thread per CPU.
 *
 * Edge-triggered, because a level-triggered descriptor is queued and polled once more after each
 * event. It rests on two promises of epoll(7) and tcp(7): a receive that returns less than it was
 * offered has emptied the socket, and whatever arrives later is a new edge. The exceptions are a
 * full buffer (receive again) and an end or error that was already announced (receive until it
 * shows). What a peer does not take is kept, and nothing more is read from it until it does.
 *
 *     reading --partial send--> flushing --all sent--> reading --end or error--> closed
 */
#include "common/server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS        512
#define FAIR_READS    16  /* full buffers from one connection before others have their turn */
#define ACCEPT_RETRY  100 /* ms; no descriptor was left, and perhaps none of them is ours */
#define READ_EVENTS   (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define END_EVENTS    (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define DEFAULT_BYTES 65536

struct options {
    struct server_options server;
    size_t buffer_bytes;
};

struct connection {
    int fd;
    bool wants_out; /* registered for EPOLLOUT; stays so after the first partial send */
    char *unsent;   /* NULL: nothing is kept */
    size_t offset;
    size_t length;
};

struct loop {
    struct server_worker *worker;
    struct server_counters *counters;
    int epoll;
    bool accept_paused;
    size_t buffer_bytes;
    char *buffer;
};

static void watch(struct loop *loop, struct connection *c, int operation)
{
    struct epoll_event event = {.events = READ_EVENTS, .data.ptr = c};

    if (c->wants_out)
        event.events |= EPOLLOUT;
    server_count(&loop->counters->system_calls, 1);
    if (epoll_ctl(loop->epoll, operation, c->fd, &event))
        server_fail("epoll_ctl", errno);
}

/* Sends until everything is gone or the socket takes no more. Returns the bytes sent or -errno. */
static ssize_t send_some(struct loop *loop, int fd, const char *data, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t n = send(fd, data + sent, length - sent, MSG_NOSIGNAL);

        server_count(&loop->counters->system_calls, 1);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -errno;
    }
    server_count(&loop->counters->bytes, sent);
    if (sent == length)
        server_count(&loop->counters->requests, 1);
    return (ssize_t)sent;
}

static int keep(struct loop *loop, struct connection *c, const char *data, size_t length)
{
    c->unsent = malloc(length);
    if (!c->unsent)
        return -ENOMEM;
    memcpy(c->unsent, data, length);
    c->offset = 0;
    c->length = length;
    if (!c->wants_out) {
        c->wants_out = true;
        watch(loop, c, EPOLL_CTL_MOD);
    }
    return 0;
}

/* 0: everything kept is sent, or the socket is full again (then `unsent` remains). */
static int flush(struct loop *loop, struct connection *c)
{
    ssize_t n = send_some(loop, c->fd, c->unsent + c->offset, c->length - c->offset);

    if (n < 0)
        return (int)n;
    c->offset += (size_t)n;
    if (c->offset == c->length) {
        free(c->unsent);
        c->unsent = NULL;
    }
    return 0;
}

/* Returns 0 while the connection lives, -errno or -ENOTCONN (the peer's orderly end) otherwise. */
static int echo(struct loop *loop, struct connection *c, bool ending)
{
    for (int reads = 0; reads < FAIR_READS; reads++) {
        ssize_t n = recv(c->fd, loop->buffer, loop->buffer_bytes, 0), sent;

        server_count(&loop->counters->system_calls, 1);
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            return n == 0 ? -ENOTCONN : errno == EAGAIN ? 0 : -errno;
        }
        sent = send_some(loop, c->fd, loop->buffer, (size_t)n);
        if (sent < 0)
            return (int)sent;
        if (sent < n)
            return keep(loop, c, loop->buffer + sent, (size_t)(n - sent));
        if ((size_t)n < loop->buffer_bytes && !ending)
            return 0;
    }
    watch(loop, c, EPOLL_CTL_MOD); /* there may be more: raises a new edge if so */
    return 0;
}

static void accept_all(struct loop *loop);

static void end(struct loop *loop, struct connection *c, int reason)
{
    if (reason != -ENOTCONN)
        server_count(&loop->counters->errors, 1);
    close(c->fd); /* also leaves the epoll set: nobody else holds this file */
    server_count(&loop->counters->system_calls, 1);
    free(c->unsent);
    free(c);
    if (loop->accept_paused)
        accept_all(loop);
}

static void serve(struct loop *loop, struct connection *c, uint32_t events)
{
    int error = c->unsent ? flush(loop, c) : 0;

    if (!error && !c->unsent)
        error = echo(loop, c, events & END_EVENTS);
    if (error)
        end(loop, c, error);
}

static void welcome(struct loop *loop, int fd)
{
    struct connection *c = calloc(1, sizeof *c);

    server_count(&loop->counters->connections, 1);
    if (!c) {
        server_count(&loop->counters->errors, 1);
        close(fd);
        return;
    }
    c->fd = fd;
    watch(loop, c, EPOLL_CTL_ADD);
}

/*
 * The listener is level-triggered. Without a descriptor or memory for the next connection it
 * would spin, so it is taken out of the set until a connection ends or some time has passed.
 */
static void watch_listener(struct loop *loop, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = NULL};

    loop->accept_paused = !on;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, loop->worker->listener, &event))
        server_fail("epoll_ctl", errno);
}

static void accept_all(struct loop *loop)
{
    for (;;) {
        int fd = accept4(loop->worker->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        server_count(&loop->counters->system_calls, 1);
        if (fd >= 0) {
            welcome(loop, fd);
            continue;
        }
        if (errno == EAGAIN) {
            if (loop->accept_paused)
                watch_listener(loop, true);
            return;
        }
        server_count(&loop->counters->errors, 1);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (!loop->accept_paused)
                watch_listener(loop, false);
            return;
        }
        if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP)
            server_fail("accept", errno);
        /* Anything else is about one connection that is gone already. */
    }
}

static void prepare(struct loop *loop, struct server_worker *worker)
{
    const struct options *options = worker->options;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    *loop = (struct loop){.worker = worker, .counters = &worker->counters};
    loop->buffer_bytes = options->buffer_bytes;
    loop->buffer = aligned_alloc(4096, (options->buffer_bytes + 4095) & ~(size_t)4095);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!loop->buffer || loop->epoll < 0)
        server_fail("epoll loop", errno);
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, worker->listener, &event))
        server_fail("epoll_ctl", errno);
}

static void run(struct server_worker *worker)
{
    struct epoll_event events[EVENTS];
    struct loop loop;

    prepare(&loop, worker);
    for (;;) {
        int n = epoll_wait(loop.epoll, events, EVENTS, loop.accept_paused ? ACCEPT_RETRY : -1);

        server_count(&loop.counters->system_calls, 1);
        if (n < 0 && errno != EINTR)
            server_fail("epoll_wait", errno);
        if (n == 0)
            accept_all(&loop);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(&loop, events[i].data.ptr, events[i].events);
            else
                accept_all(&loop);
        }
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->server;
        break;
    case 'b':
        options->buffer_bytes = server_number(state, text, 1, 1 << 30);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"buffer", 'b', "BYTES", 0, "receive buffer of each thread (65536)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&server_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc = "Echoes TCP on epoll: the baseline that io_uring is compared with.",
        .children = children,
    };
    struct options options = {
        .server = {.name = "epoll", .nonblocking_listener = true},
        .buffer_bytes = DEFAULT_BYTES,
    };

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return server_run(&options.server, run, &options);
}
