/* SPDX-License-Identifier: MIT */
/* ouro-echo: sends back what it receives, in one of three forms of task. */
#include "common/shards.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_BYTES 2048
#define LARGE_BYTES 16384

static __thread uint64_t requests; /* received and sent back, of this shard */

/* --- one connection, three times -----------------------------------------------------------------
 */

static int echo_through(ouro_conn conn, char *buf, size_t size)
{
    ssize_t n;

    for (; (n = ouro_recv(conn, buf, size)) > 0; requests++)
        if ((n = ouro_send_all(conn, buf, (size_t)n)) < 0)
            break;
    ouro_close(conn);
    return (int)n;
}

/* A fiber that receives into a buffer on its own stack. */
static int echo_small(void *arg)
{
    char buf[SMALL_BYTES];

    return echo_through(*(ouro_conn *)arg, buf, sizeof buf);
}

static int echo_large(void *arg)
{
    char buf[LARGE_BYTES];

    return echo_through(*(ouro_conn *)arg, buf, sizeof buf);
}

/* A fiber fed by a multishot receive: no buffer is tied up while it waits. */
static int echo_multishot(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    int n = ouro_recv_source_open(&source, conn, 0);

    while (n >= 0 && (n = ouro_recv_next(&source, &buf)) > 0) {
        n = (int)ouro_send_all(conn, buf.data, buf.len);
        ouro_buf_release(&buf);
        requests++;
    }
    ouro_recv_source_close(&source);
    ouro_close(conn);
    return n;
}

/* The same as a state machine. */
struct echo {
    struct ouro_task task;
    struct ouro_recv_source source;
    struct ouro_send_all send;
    struct ouro_close close;
    struct ouro_buf buf;
    ouro_conn conn;
    struct echo *next_free;
    int n;
};

static __thread struct echo *echo_free;

static void echo_give_back(struct echo *e)
{
    e->next_free = echo_free;
    echo_free = e;
}

static void echo_resume(struct ouro_task *task)
{
    struct echo *e = OURO_FRAME(task, struct echo, task);

    OURO_BEGIN(task);
    e->n = ouro_recv_source_open(&e->source, e->conn, 0);
    while (e->n >= 0) {
        OURO_AWAIT(task, &e->source.ready);
        e->n = ouro_recv_take(&e->source, &e->buf);
        if (e->n == -EAGAIN) {
            e->n = 0;
            continue;
        }
        if (e->n <= 0)
            break;
        ouro_send_all_start(&e->send, e->conn, e->buf.data, e->buf.len);
        OURO_AWAIT(task, &e->send.op.future);
        e->n = ouro_result(&e->send.op.future);
        ouro_buf_release(&e->buf);
        requests++;
    }
    ouro_recv_source_stop(&e->source);
    OURO_AWAIT(task, &e->source.op.future);
    ouro_recv_source_close(&e->source);
    ouro_close_start(&e->close, e->conn);
    OURO_AWAIT(task, &e->close.op.future);
    OURO_END_WITH(task, e->n, echo_give_back(e));
}

static void echo_free_all(void)
{
    for (struct echo *e = echo_free, *next; e != NULL; e = next) {
        next = e->next_free;
        free(e);
    }
    echo_free = NULL;
}

static int echo_stackless(struct ouro_scope *scope, ouro_conn conn)
{
    struct echo *e = echo_free;

    if (e != NULL)
        echo_free = e->next_free;
    else if ((e = malloc(sizeof *e)) == NULL)
        return -ENOMEM;
    memset(&e->task, 0, sizeof e->task);
    e->conn = conn;
    return ouro_task_start(scope, &e->task, echo_resume, "echo");
}

/* --- the service ----------------------------------------------------------------------------- */

enum mode { FIBER, MULTISHOT, STACKLESS };

static struct {
    struct ouro_options options;
    struct ouro_addr addr;
    enum mode mode;
    bool large, metrics;
    ouro_listener listener[OURO_MAX_SHARDS];
    struct ouro_counters counters[OURO_MAX_SHARDS];
    uint64_t requests[OURO_MAX_SHARDS];
} app; /* zero, so that the file has no room for it */

static int open_listener(void *arg)
{
    (void)arg;
    return ouro_listen(&app.listener[ouro_current_shard()], &app.addr, NULL);
}

static int spawn_echo(struct ouro_scope *scope, ouro_conn conn)
{
    switch (app.mode) {
    case FIBER:
        return ouro_spawn(scope, app.large ? echo_large : echo_small, &conn, sizeof conn);
    case MULTISHOT:
        return ouro_spawn(scope, echo_multishot, &conn, sizeof conn);
    default:
        return echo_stackless(scope, conn);
    }
}

static int snapshot(void *arg)
{
    int shard = ouro_current_shard();

    (void)arg;
    app.requests[shard] = requests;
    return ouro_counters(&app.counters[shard]);
}

static int serve(void *arg)
{
    ouro_listener listener = app.listener[ouro_current_shard()];
    struct ouro_scope scope;
    ouro_conn conn;
    int error = ouro_scope_enter(&scope, 0);

    (void)arg;
    while (error == 0 && (error = ouro_accept(listener, &conn)) == 0)
        if (spawn_echo(&scope, conn) != 0)
            ouro_close(conn);
    ouro_listener_close(listener);
    ouro_scope_cancel(&scope);
    ouro_scope_leave(&scope);
    echo_free_all();
    snapshot(NULL);
    return error == -ECANCELED ? 0 : error;
}

static void print_counters(void)
{
    for (unsigned i = 0; i < ouro_shard_count(); i++) {
        const uint64_t *value = (const uint64_t *)&app.counters[i];
        static const char *const name[] = {
#define NAME(field, text) #field,
            OURO_COUNTERS(NAME)
#undef NAME
        };

        printf("shard %u:", i);
        for (size_t k = 0; k < sizeof name / sizeof name[0]; k++)
            printf(" %s=%" PRIu64, name[k], value[k]);
        printf("\n");
    }
    fflush(stdout);
}

static void print_metric(const char *metric, uint64_t value)
{
    printf("{\"bench\":\"server\",\"subject\":\"ouro-echo\",\"parameter\":\"total\","
           "\"metric\":\"%s\",\"unit\":\"1\",\"value\":%" PRIu64 "}\n",
           metric, value);
}

/* After the end: every shard left its last snapshot. */
static void print_metrics(unsigned shards)
{
    uint64_t served = 0, calls = 0, connections = 0;

    for (unsigned i = 0; i < shards; i++) {
        served += app.requests[i];
        calls += app.counters[i].enters;
        connections += app.counters[i].accepts;
    }
    print_metric("requests", served);
    print_metric("system_calls", calls);
    print_metric("connections", connections);
}

static int report_on_signal(void *arg)
{
    (void)arg;
    while (ouro_signal(OURO_SIGNAL_BIT(SIGUSR1)) > 0) {
        ouro_on_each_shard(snapshot, NULL, "counters", NULL);
        print_counters();
    }
    return 0;
}

static int app_main(void *arg)
{
    char text[OURO_ADDR_STRLEN];
    struct ouro_addr bound;
    int error = ouro_on_each_shard(open_listener, NULL, "listen", NULL);

    (void)arg;
    if (error != 0) {
        (void)!ouro_addr_format(&app.addr, text, sizeof text);
        return cli_failed(error, "cannot listen on %s", text);
    }
    ouro_listener_addr(app.listener[0], &bound);
    (void)!ouro_addr_format(&bound, text, sizeof text);
    printf("listening on %s\n", text);
    fflush(stdout);
    error = ouro_spawn(NULL, report_on_signal, NULL, 0);
    if (error == 0)
        error = ouro_on_each_shard(serve, NULL, "serve", NULL);
    if (app.metrics)
        print_metrics(ouro_shard_count());
    return error < 0 && error != -ECANCELED ? cli_failed(error, "cannot serve") : CLI_OK;
}

/* --- the command line ------------------------------------------------------------------------ */

enum { KEY_LISTEN = CLI_KEY_TOOL, KEY_MODE, KEY_BUFFER, KEY_METRICS };

static error_t parse(int key, char *text, struct argp_state *state)
{
    if (cli_shards(state, key, text, &app.options))
        return 0;
    switch (key) {
    case KEY_LISTEN:
        cli_addr(state, "--listen", text, &app.addr);
        return 0;
    case KEY_MODE:
        if (strcmp(text, "fiber") == 0)
            app.mode = FIBER;
        else if (strcmp(text, "multishot") == 0)
            app.mode = MULTISHOT;
        else if (strcmp(text, "stackless") == 0)
            app.mode = STACKLESS;
        else
            cli_bad_option(state, "--mode", "'%s' is not fiber, multishot or stackless", text);
        return 0;
    case KEY_BUFFER:
        app.large = cli_number(state, "--buffer", text, 1, LARGE_BYTES) > SMALL_BYTES;
        return 0;
    case KEY_METRICS:
        app.metrics = true;
        return 0;
    case ARGP_KEY_END:
        if (app.addr.len == 0)
            cli_bad_option(state, "--listen", "is missing; an address such as 127.0.0.1:7000");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"listen", KEY_LISTEN, "ADDR", 0,
         "Listen there: 127.0.0.1:7000, [::1]:7000, unix:/run/echo", 1},
        {"mode", KEY_MODE, "MODE", 0,
         "fiber: receives into a small buffer on its stack; multishot: a fiber fed by a multishot "
         "receive; stackless (default, the fastest measured): a state machine fed by the same",
         1},
        {"buffer", KEY_BUFFER, "BYTES", 0,
         "Mode fiber: receive into 2048 bytes (default), or 16384 where more is asked for", 1},
        {"metrics", KEY_METRICS, NULL, 0, "Print totals as lines of JSON at the end", 1},
        CLI_SHARDS_OPTIONS,
        {0}};
    static const struct cli_tool tool = {
        .name = "ouro-echo",
        .doc = "Sends back what it receives. SIGUSR1 prints counters, SIGTERM stops it.",
        .options = options,
        .parser = parse};
    int value = CLI_FAILED, error;

    app.options.size = sizeof app.options;
    app.options.signals = OURO_SIGNAL_BIT(SIGUSR1);
    app.mode = STACKLESS;
    cli_parse(&tool, argc, argv, NULL);
    error = ouro_run(&app.options, app_main, NULL, &value);
    return error != 0 ? cli_start_failed("ouro-echo", error) : value;
}
