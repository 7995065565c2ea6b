/* SPDX-License-Identifier: MIT */
/* One shard's service: a fiber accepts from all listeners, pauses at the limit, and drains.
 *
 *     ACCEPTING ──at a limit────► PAUSED          waits for `room`
 *         ▲  └────────────────────── │ ◄┘
 *         └─a connection or time ended┘
 *         │ service_drain()
 *     STOPPING   no new peers; takes what the accept queues hold, also over the limit
 *         │
 *     DRAINING   until the last connection has ended, or the time is over: then they are cancelled
 */
#include "proxy/proxy.h"

/* Handshakes that had begun when accepting was stopped get this long to end. */
#define HANDSHAKES_NS (50 * OURO_NSEC_PER_MSEC)

/* Connections that wait in a listener while accepting has paused keep descriptors, too. */
#define QUEUE_MAX 256

/* Each has one for the client and one for the backend; listeners, resets and accepting need some.
 */
#define SPARE (UINT64_C(256) + QUEUE_MAX)

uint64_t service_room(uint64_t descriptors)
{
    return descriptors < 2 * SPARE ? descriptors / 4 : (descriptors - SPARE) / 2;
}

uint64_t service_descriptors(uint64_t connections)
{
    return 2 * connections + SPARE;
}

static struct proxy_shard *own(struct proxy *p)
{
    return &p->shard[ouro_current_shard()];
}

/* --- listeners ---------------------------------------- */

int service_close(void *arg)
{
    struct proxy_shard *s = own(arg);

    while (s->listeners != 0)
        ouro_listener_close(s->listener[--s->listeners]);
    return 0;
}

int service_open(void *arg)
{
    struct proxy *p = arg;
    struct proxy_shard *s = own(p);
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = QUEUE_MAX};

    for (; s->listeners < p->config.listen.count; s->listeners++) {
        int error =
            ouro_listen(&s->listener[s->listeners], &p->config.listen.addr[s->listeners], &o);

        if (error != 0)
            return error;
    }
    return 0;
}

/* Takes whatever the accept queue holds; what failed before it could be accepted is passed over. */
static void take_rest(struct proxy_shard *s, ouro_listener listener)
{
    ouro_conn conn;
    int error;

    do {
        error = ouro_accept_drain(listener, &conn);
        if (error == 0)
            relay_start(s, conn);
    } while (error == 0 || error == -ECONNABORTED);
}

static void stop_accepting(struct proxy *p)
{
    struct proxy_shard *s = own(p);

    for (size_t i = 0; i < s->listeners; i++)
        ouro_accept_stop(s->listener[i]);
    for (size_t i = 0; i < s->listeners; i++)
        take_rest(s, s->listener[i]);
    ouro_sleep(HANDSHAKES_NS);
    for (size_t i = 0; i < s->listeners; i++)
        take_rest(s, s->listener[i]);
    service_close(p);
}

/* --- accepting ---------------------------------------- */

static bool full(const struct proxy_shard *s)
{
    return s->counters.active >= s->limit;
}

/* Too many came in the last second. A little is let through at once: a tenth of a second's worth,
 * so that not every client costs a timer. */
static bool too_fast(struct proxy_shard *s)
{
    uint64_t now = ouro_now_ns();

    if (s->turn_ns == 0)
        return false;
    if (s->next_turn_ns < now)
        s->next_turn_ns = now;
    return s->next_turn_ns - now > OURO_NSEC_PER_SEC / 10;
}

static bool paused(struct proxy_shard *s)
{
    return full(s) || too_fast(s);
}

/* Takes what has been accepted, one from each listener in turn, up to the limit. */
static int take_some(struct proxy_shard *s)
{
    bool some = true;
    ouro_conn conn;

    while (some && !paused(s)) {
        some = false;
        for (size_t i = 0; i < s->listeners && !paused(s); i++) {
            int error = ouro_accept_take(s->listener[i], &conn);

            s->next_turn_ns += error == 0 ? s->turn_ns : 0;
            if (error == 0)
                relay_start(s, conn);
            else if (error != -EAGAIN)
                return error;
            some = some || error == 0;
        }
    }
    return 0;
}

/* Waits for clients; at a limit, for one to leave, or for time to pass. */
static int wait_for_more(struct proxy_shard *s)
{
    struct ouro_future *futures[CLI_ADDRS_MAX + 1] = {&s->drain.future};
    size_t n = 1;
    int error;

    if (paused(s)) {
        s->counters.rate_pauses += !full(s);
        error = ouro_timer_start(&s->room, full(s) ? OURO_FOREVER : s->next_turn_ns);
        if (error != 0)
            return error;
        futures[n++] = &s->room.future;
    } else {
        for (size_t i = 0; i < s->listeners; i++)
            futures[n++] = ouro_accept_ready(s->listener[i]);
    }
    error = ouro_await_any(futures, n, OURO_FOREVER);
    ouro_timer_cancel(&s->room);
    return error < 0 ? error : 0;
}

static int accept_clients(struct proxy_shard *s)
{
    int error = ouro_timer_start(&s->drain, OURO_FOREVER);

    while (error == 0 && !s->draining) {
        error = take_some(s);
        if (error == 0)
            error = wait_for_more(s);
    }
    ouro_timer_cancel(&s->drain);
    return error;
}

/* --- the whole ---------------------------------------- */

/* This shard's part of what is for all of them: at least one. */
static uint64_t part_of(uint64_t all, unsigned number, unsigned shards)
{
    uint64_t part = all / shards + (number < all % shards);

    return part != 0 || all == 0 ? part : 1;
}

static int prepare(struct proxy *p)
{
    struct proxy_shard *s = own(p);
    unsigned number = (unsigned)ouro_current_shard(), shards = ouro_shard_count();
    uint64_t rate = part_of(p->config.max_rate, number, shards);

    s->config = &p->config;
    s->limit = part_of(p->config.max_connections, number, shards);
    s->turn_ns = rate != 0 ? OURO_NSEC_PER_SEC / rate : 0;
    backends_init(&s->backends, &p->config.backends, p->config.balance, number);
    return sources_init(&s->sources, (uint32_t)part_of(p->config.max_per_source, number, shards),
                        s->limit);
}

int service_run(void *arg)
{
    struct proxy *p = arg;
    struct proxy_shard *s = own(p);
    int error;

    error = prepare(p);
    if (error == 0)
        error = ouro_scope_enter(&s->clients, 0);
    if (error != 0)
        return error;
    error = accept_clients(s);
    stop_accepting(p);
    /* Cancels the scope at the deadline, and waits for its end in any case. */
    ouro_await_until(&s->clients.op.future, error == 0 ? s->drain_until_ns : ouro_now_ns());
    ouro_scope_leave(&s->clients);
    sources_free(&s->sources);
    return error == -ECANCELED ? 0 : error;
}

int service_drain(void *arg)
{
    struct proxy *p = arg;
    struct proxy_shard *s = own(p);

    s->draining = true;
    s->drain_until_ns = ouro_after_ns(p->config.drain_timeout_ns);
    ouro_timer_cancel(&s->drain);
    return 0;
}
