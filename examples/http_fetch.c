/* SPDX-License-Identifier: MIT */
/* Fetches URLs side by side with libcurl, whose sockets and time-outs are the shard's:
 *
 *     example-http_fetch URL...
 *
 * prints status, bytes and URL of each as it ends. libcurl's multi interface says which sockets it
 * wants watched (on_socket) and when it wants to be called at the latest (on_timer); a fiber for
 * each socket and one for the time do that. Each fetch is a fiber that waits for its promise. */
#include <curl/curl.h>
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>

#define DEADLINE    (30 * OURO_NSEC_PER_SEC)
#define STACK_BYTES (256u << 10) /* libcurl, and TLS below it, want more than fibers mostly do */

struct client {
    CURLM *multi;
    struct ouro_timer timer; /* when libcurl wants to be called; always running */
    int open;                /* sockets that are watched */
    struct ouro_promise closed;
};

struct fetch {
    struct client *client;
    const char *url;
    size_t bytes;
    struct ouro_promise done; /* a CURLcode */
};

/* A socket of libcurl's; freed by the fiber that watches it. */
struct watch {
    struct client *client;
    curl_socket_t fd;
    short events;
    bool gone; /* libcurl wants no more of it, and closes it */
    struct ouro_poll_source source;
};

/* Whatever has ended completes its promise. */
static void progress(struct client *c)
{
    struct CURLMsg *msg;
    struct fetch *fetch;
    int left;

    while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
        ouro_promise_complete(&fetch->done, (int)msg->data.result);
    }
}

static void act(struct client *c, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(c->multi, fd, what, &running);
    progress(c);
}

/* libcurl reads as much as it likes, not until nothing is left: so the source is one by level. */
static int watch(void *arg)
{
    struct watch *w = arg;
    int mask = w->gone ? -ECANCELED : ouro_poll_source_open(&w->source, w->fd, w->events, 0);

    while (mask >= 0 && (mask = ouro_poll_next(&w->source)) > 0)
        act(w->client, w->fd,
            ((mask & (POLLIN | POLLHUP)) != 0 ? CURL_CSELECT_IN : 0) |
                ((mask & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                ((mask & POLLERR) != 0 ? CURL_CSELECT_ERR : 0));
    ouro_poll_source_close(&w->source);
    if (!w->gone) /* the runtime stops */
        curl_multi_assign(w->client->multi, w->fd, NULL);
    if (--w->client->open == 0)
        ouro_promise_complete(&w->client->closed, 0);
    free(w);
    return 0;
}

static int watch_start(struct client *c, curl_socket_t fd, short events)
{
    struct watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -1;
    *w = (struct watch){.client = c, .fd = fd, .events = events};
    if (ouro_spawn(NULL, watch, w, 0) != 0) {
        free(w);
        return -1;
    }
    c->open++;
    curl_multi_assign(c->multi, fd, w);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct client *c = arg;
    struct watch *w = socket_arg;
    short events = (short)(((what & CURL_POLL_IN) != 0 ? POLLIN : 0) |
                           ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0));

    (void)easy;
    if (w == NULL)
        return what == CURL_POLL_REMOVE ? 0 : watch_start(c, fd, events);
    w->events = events;
    w->gone = what == CURL_POLL_REMOVE;
    if (w->gone)
        ouro_poll_source_stop(&w->source);
    else
        ouro_poll_source_update(&w->source, events);
    return 0; /* both did nothing if its fiber has not opened it yet: it looks at these fields */
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct client *c = arg;

    (void)multi;
    ouro_timer_cancel(&c->timer);
    if (ms < 0)
        ouro_timer_start(&c->timer, OURO_FOREVER);
    else
        ouro_sleep_start(&c->timer, (uint64_t)ms * OURO_NSEC_PER_MSEC);
    return 0;
}

/* A timer that on_timer() has set to another time is awaited again. */
static int keep_time(void *arg)
{
    struct client *c = *(struct client **)arg;

    while (!ouro_cancelled())
        if (ouro_await(&c->timer.future) == 0) {
            ouro_timer_start(&c->timer, OURO_FOREVER); /* libcurl starts another if it wants one */
            act(c, CURL_SOCKET_TIMEOUT, 0);
        }
    return 0;
}

/* --- a fetch --------------------------------------------------------------------------------- */

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *fetch = arg;

    (void)data;
    fetch->bytes += size * n;
    return size * n;
}

static int perform(struct fetch *fetch, CURL *easy)
{
    struct client *c = fetch->client;
    int result;

    curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    result = ouro_promise_init(&fetch->done);
    if (result != 0)
        return result;
    curl_multi_add_handle(c->multi, easy);
    result = ouro_promise_await_until(&fetch->done, ouro_after_ns(DEADLINE));
    curl_multi_remove_handle(c->multi, easy); /* whatever state it is in: libcurl forgets it */
    ouro_promise_drop(&fetch->done);
    return result;
}

static int fetch_url(void *arg)
{
    struct fetch *fetch = *(struct fetch **)arg;
    CURL *easy = curl_easy_init();
    long status = 0;
    int result;

    if (easy == NULL)
        return -ENOMEM;
    result = perform(fetch, easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    if (result == CURLE_OK)
        printf("%ld %zu %s\n", status, fetch->bytes, fetch->url);
    else
        fprintf(stderr, "example-http_fetch: %s: %s\n", fetch->url,
                result < 0 ? ouro_strerror(result) : curl_easy_strerror((CURLcode)result));
    return result == CURLE_OK && status < 400 ? 0 : -EIO;
}

static int fetch_all(struct client *c, char **urls, int n)
{
    struct fetch *fetches = calloc((size_t)n, sizeof *fetches);
    struct ouro_scope scope;
    int error = fetches == NULL ? -ENOMEM : ouro_scope_enter(&scope, 0), left;

    if (error == 0) {
        for (int i = 0; error == 0 && i < n; i++) {
            struct fetch *fetch = &fetches[i];

            *fetch = (struct fetch){.client = c, .url = urls[i]};
            error = ouro_spawn(&scope, fetch_url, &fetch, sizeof fetch);
        }
        left = ouro_scope_leave(&scope);
        error = error != 0 ? error : left;
    }
    free(fetches);
    return error;
}

/* libcurl lets go of its sockets here, and their fibers end. */
static void close_client(struct client *c)
{
    (void)ouro_shield_enter();
    curl_multi_cleanup(c->multi);
    if (c->open != 0 && ouro_promise_init(&c->closed) == 0)
        ouro_promise_await(&c->closed);
    (void)ouro_shield_leave();
}

static int run(void *arg)
{
    char **urls = arg;
    struct client c = {0}, *pc = &c;
    ouro_fiber clock;
    int n = 0, error;

    while (urls[n] != NULL)
        n++;
    c.multi = curl_multi_init();
    if (c.multi == NULL)
        return -ENOMEM;
    curl_multi_setopt(c.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c.multi, CURLMOPT_SOCKETDATA, &c);
    curl_multi_setopt(c.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c.multi, CURLMOPT_TIMERDATA, &c);
    ouro_timer_start(&c.timer, OURO_FOREVER);
    error = ouro_spawn_joinable(NULL, keep_time, &pc, sizeof pc, &clock);
    if (error == 0) {
        error = fetch_all(&c, urls, n);
        (void)ouro_fiber_cancel(clock);
        (void)ouro_shield_enter();
        (void)ouro_join(clock, NULL);
        (void)ouro_shield_leave();
    }
    close_client(&c);
    ouro_timer_cancel(&c.timer);
    return error;
}

int main(int argc, char **argv)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1, .stack_bytes = STACK_BYTES};
    int value = 1;

    if (argc < 2) {
        fprintf(stderr, "usage: example-http_fetch URL...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ouro_run(&options, run, argv + 1, &value) != 0)
        fprintf(stderr, "example-http_fetch: %s\n", ouro_start_error());
    curl_global_cleanup();
    return value != 0;
}
