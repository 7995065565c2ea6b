/* SPDX-License-Identifier: MIT */
/* Looks names up with c-ares, all at the same time:
 *
 *     example-resolve [--server ADDRESS:PORT] NAME...
 *
 * prints "NAME ADDRESS" for each address that a name has, in the order of the names. c-ares calls
 * back when it knows an answer: the callback completes a promise, and a fiber waits for it. Its
 * sockets are watched by poll sources, whose waits also end when c-ares wants to try again. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define DEADLINE    (10 * OURO_NSEC_PER_SEC)
#define TRY_MS      500          /* before it asks again */
#define STACK_BYTES (256u << 10) /* c-ares wants more than fibers mostly do */

struct watch;

struct resolver {
    ares_channel channel;
    struct watch *watches;
    struct ouro_promise closed;
};

/* A socket of c-ares; freed by the fiber that watches it. */
struct watch {
    struct resolver *resolver;
    struct watch *next;
    ares_socket_t fd;
    short events;
    bool gone; /* c-ares closes it */
    struct ouro_poll_source source;
};

struct lookup {
    const char *name;
    struct ouro_promise answered; /* a status of c-ares */
    struct ares_addrinfo *list;
};

/* --- sockets of c-ares ----------------------------------------------------------------------- */

/* When c-ares wants to be called even if nothing comes. */
static uint64_t next_try(struct resolver *r)
{
    struct timeval tv, *set = ares_timeout(r->channel, NULL, &tv);

    return set == NULL ? OURO_FOREVER
                       : ouro_after_ns((uint64_t)tv.tv_sec * OURO_NSEC_PER_SEC +
                                       (uint64_t)tv.tv_usec * OURO_NSEC_PER_USEC);
}

static void process(struct watch *w, int mask)
{
    bool in = (mask & (POLLIN | POLLHUP | POLLERR)) != 0, out = (mask & POLLOUT) != 0;

    ares_process_fd(w->resolver->channel, in ? w->fd : ARES_SOCKET_BAD,
                    out ? w->fd : ARES_SOCKET_BAD);
}

static void forget(struct watch *w)
{
    struct watch **at = &w->resolver->watches;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (w->resolver->watches == NULL)
        ouro_promise_complete(&w->resolver->closed, 0); /* -EINVAL as long as nobody asks */
    free(w);
}

static int watch(void *arg)
{
    struct watch *w = arg;
    int mask = w->gone ? -ECANCELED : ouro_poll_source_open(&w->source, w->fd, w->events, 0);

    while (mask >= 0 || mask == -EAGAIN) {
        int error = ouro_await_until(&w->source.ready, next_try(w->resolver));

        if (error == -ECANCELED)
            break;
        mask = ouro_poll_take(&w->source);
        if (mask > 0 || error == -ETIMEDOUT)
            process(w, mask > 0 ? mask : 0);
    }
    ouro_poll_source_close(&w->source);
    forget(w);
    return 0;
}

static struct watch *find(struct resolver *r, ares_socket_t fd)
{
    struct watch *w = r->watches;

    while (w != NULL && (w->fd != fd || w->gone))
        w = w->next;
    return w;
}

static void watch_start(struct resolver *r, ares_socket_t fd, short events)
{
    struct watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return; /* the query times out */
    *w = (struct watch){.resolver = r, .next = r->watches, .fd = fd, .events = events};
    if (ouro_spawn(NULL, watch, w, 0) == 0)
        r->watches = w;
    else
        free(w);
}

/* c-ares opened or closes a socket, or waits for something else on it. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watch *w = find(r, fd);
    short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));

    if (w == NULL) {
        if (events != 0)
            watch_start(r, fd, events);
        return;
    }
    w->events = events;
    w->gone = events == 0;
    if (w->gone)
        ouro_poll_source_stop(&w->source);
    else
        ouro_poll_source_update(&w->source, events);
}

/* --- lookups --------------------------------------------------------------------------------- */

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
    struct lookup *l = arg;

    (void)timeouts;
    l->list = list;
    ouro_promise_complete(&l->answered, status);
}

static int lookup_start(struct resolver *r, struct lookup *l)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
    int error = ouro_promise_init(&l->answered);

    if (error == 0)
        ares_getaddrinfo(r->channel, l->name, NULL, &hints, on_answer, l);
    return error;
}

static void show(const struct lookup *l)
{
    for (const struct ares_addrinfo_node *n = l->list->nodes; n != NULL; n = n->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address =
            n->ai_family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)(const void *)n->ai_addr)->sin_addr
                : &((const struct sockaddr_in6 *)(const void *)n->ai_addr)->sin6_addr;

        printf("%s %s\n", l->name, inet_ntop(n->ai_family, address, text, sizeof text));
    }
}

static int lookup_end(struct lookup *l, uint64_t deadline_ns)
{
    int status = ouro_promise_await_until(&l->answered, deadline_ns);

    if (status == ARES_SUCCESS) {
        show(l);
        return 0;
    }
    fprintf(stderr, "example-resolve: %s: %s\n", l->name,
            status < 0 ? ouro_strerror(status) : ares_strerror(status));
    return -ENOENT;
}

/* All are asked for at once. A lookup that is given up still belongs to c-ares, until its channel
 * is destroyed: that answers what is open. */
static int lookup_all(struct resolver *r, char **names, size_t n)
{
    struct lookup *lookups = calloc(n, sizeof *lookups);
    uint64_t deadline = ouro_after_ns(DEADLINE);
    int error = lookups == NULL ? -ENOMEM : 0, one;

    for (size_t i = 0; error == 0 && i < n; i++) {
        lookups[i].name = names[i];
        error = lookup_start(r, &lookups[i]);
    }
    for (size_t i = 0; lookups != NULL && i < n && lookups[i].name != NULL; i++) {
        one = lookup_end(&lookups[i], deadline);
        error = error != 0 ? error : one;
    }
    ares_destroy(r->channel);
    for (size_t i = 0; lookups != NULL && i < n; i++) {
        ares_freeaddrinfo(lookups[i].list);
        ouro_promise_drop(&lookups[i].answered);
    }
    free(lookups);
    return error;
}

/* --- the program ----------------------------------------------------------------------------- */

static int open_channel(struct resolver *r, const char *server)
{
    struct ares_options o = {
        .timeout = TRY_MS, .sock_state_cb = on_socket, .sock_state_cb_data = r};
    int status = ares_init_options(&r->channel, &o, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS);

    if (status == ARES_SUCCESS && server != NULL) {
        status = ares_set_servers_ports_csv(r->channel, server);
        if (status != ARES_SUCCESS)
            ares_destroy(r->channel);
    }
    if (status != ARES_SUCCESS)
        fprintf(stderr, "example-resolve: %s\n", ares_strerror(status));
    return status == ARES_SUCCESS ? 0 : -EINVAL;
}

static int run(void *arg)
{
    char **words = arg;
    struct resolver r = {0};
    const char *server = NULL;
    size_t n = 0;
    int error;

    if (strcmp(words[0], "--server") == 0) {
        server = words[1];
        words += 2;
    }
    while (words[n] != NULL)
        n++;
    error = open_channel(&r, server);
    if (error != 0)
        return error;
    error = lookup_all(&r, words, n);
    (void)ouro_shield_enter(); /* the fibers of its sockets end */
    if (r.watches != NULL && ouro_promise_init(&r.closed) == 0)
        ouro_promise_await(&r.closed);
    (void)ouro_shield_leave();
    return error;
}

int main(int argc, char **argv)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1, .stack_bytes = STACK_BYTES};
    int value = 1;

    if (argc < 2 || (strcmp(argv[1], "--server") == 0 && argc < 4)) {
        fprintf(stderr, "usage: example-resolve [--server ADDRESS:PORT] NAME...\n");
        return 2;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return 1;
    if (ouro_run(&options, run, argv + 1, &value) != 0)
        fprintf(stderr, "example-resolve: %s\n", ouro_start_error());
    ares_library_cleanup();
    return value != 0;
}
