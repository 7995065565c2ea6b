/* SPDX-License-Identifier: MIT */
/* ouro-demo: ouro-proxy between an HTTP origin and a load client, all of it on Ouro, on every CPU.
 *
 *     this process                  child process              this process
 *     load client, N fibers  ──►  ouro-proxy, every CPU  ──►  origin, every CPU
 *           you, with curl   ──►
 */
#include "child.h"
#include "common/shards.h"
#include "load.h"
#include "origin.h"
#include "show.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_WANTED      8080
#define START_TIMEOUT_NS (10 * OURO_NSEC_PER_SEC)

enum { KEY_SECONDS = 's', KEY_CONNECTIONS = 'c', KEY_PORT = 'p', KEY_ONCE = CLI_KEY_TOOL };

static struct {
    unsigned seconds, connections;
    int port; /* -1: PORT_WANTED if it is free */
    bool once;
    struct ouro_options options; /* of this process; the proxy gets the same CPUs */
    struct child proxy;
    struct load_plan plan;
    struct show_totals totals;
} app = {.seconds = 5, .connections = 64, .port = -1, .options.size = sizeof app.options};

/* --- the load -------------------------------------------------------------------------------- */

static int run_load(void *arg)
{
    return ouro_on_each_shard(load_run, arg, "load", NULL);
}

static void add(const struct load_sample *s)
{
    latency_merge(&app.totals.sum.latency, &s->latency);
    app.totals.sum.errors += s->errors;
}

/* Prints a line now and then until `done`. -ECHILD: the proxy has ended. */
static int watch_load(struct ouro_future *done, uint64_t begun)
{
    OURO_OP(struct ouro_poll, proxy);
    struct ouro_future *const futures[] = {done, &proxy.op.future};
    static struct load_sample sample;
    uint64_t last = begun, next = begun, now;
    int which = -ETIMEDOUT;

    ouro_poll_start(&proxy, app.proxy.pidfd, POLLIN);
    while (which == -ETIMEDOUT) {
        next += show_period_ns();
        which = ouro_await_any(futures, 2, next);
        if (load_sample(&sample) != 0)
            break;
        add(&sample);
        now = ouro_now_precise_ns();
        if (which == -ETIMEDOUT)
            show_line(&sample, now - last, now - begun);
        last = now;
    }
    return which == 1 ? -ECHILD : which < 0 ? which : 0;
}

/* 0, -ECHILD, or -ECANCELED: interrupted. */
static int load(void)
{
    uint64_t begun = ouro_now_precise_ns(), cpu = child_cpu_ns(&app.proxy);
    OURO_OP(struct ouro_join, join);
    struct ouro_scope scope;
    ouro_fiber fiber;
    int error = ouro_scope_enter(&scope, 0);

    app.plan.connections = app.connections;
    app.plan.end_ns = begun + app.seconds * OURO_NSEC_PER_SEC;
    if (error == 0)
        error = ouro_spawn_joinable(&scope, run_load, &app.plan, 0, &fiber);
    if (error == 0)
        error = ouro_join_start(&join, fiber);
    if (error == 0)
        error = watch_load(&join.op.future, begun);
    app.totals.connections = app.connections;
    app.totals.ns = ouro_now_precise_ns() - begun;
    app.totals.proxy_cpu_ns = child_cpu_ns(&app.proxy) - cpu;
    ouro_scope_cancel(&scope);
    ouro_op_drain(&join.op);
    ouro_scope_leave(&scope);
    return error;
}

/* --- from start to end ----------------------------------------------------------------------- */

static int proxy_ended(const char *when)
{
    char how[32];

    child_end(&app.proxy);
    child_describe(&app.proxy, how, sizeof how);
    return cli_failed(0, "ouro-proxy ended with %s %s", how, when);
}

static void introduce(const struct ouro_addr *proxy, const struct ouro_addr *origin)
{
    char front[OURO_ADDR_STRLEN], back[OURO_ADDR_STRLEN];
    unsigned n = ouro_shard_count();
    const char *plural = n == 1 ? "" : "s";

    (void)!ouro_addr_format(proxy, front, sizeof front);
    (void)!ouro_addr_format(origin, back, sizeof back);
    printf("Ouro %s, %u shard%s for each of the three, on the same %u CPU%s:\n"
           "  %u client%s  -->  ouro-proxy on %s  -->  origin on %s\n",
           ouro_version(), n, plural, n, plural, app.connections, app.connections == 1 ? "" : "s",
           front, back);
    fflush(stdout);
}

static int serve_on(void)
{
    OURO_OP(struct ouro_poll, proxy);

    printf("\nStill serving; try\n  curl http://127.0.0.1:%d/\nCtrl-C ends it.\n",
           ouro_addr_port(&app.plan.target));
    fflush(stdout);
    ouro_poll_start(&proxy, app.proxy.pidfd, POLLIN);
    if (ouro_await(&proxy.op.future) > 0)
        return proxy_ended("while it served");
    printf("\n"); /* after the terminal's ^C */
    return CLI_OK;
}

static int load_and_serve(void)
{
    int error = load();

    show_summary(&app.totals);
    fflush(stdout);
    if (error == -ECHILD)
        return proxy_ended("during the load");
    if (error == -ECANCELED)
        return app.once ? cli_failed(0, "interrupted") : CLI_OK;
    if (error != 0)
        return cli_failed(error, "cannot make load");
    if (!app.once)
        return serve_on();
    return app.totals.sum.errors == 0 && app.totals.sum.latency.count != 0 ? CLI_OK : CLI_FAILED;
}

static int run_proxy(void)
{
    struct ouro_addr origin;
    int error = origin_addr(&origin);

    if (error == 0)
        error = child_start(&app.proxy, &origin);
    if (error == 0)
        error = child_listening(&app.proxy, &app.plan.target, START_TIMEOUT_NS);
    if (error == -ECHILD)
        return proxy_ended("before it listened");
    if (error == -ECANCELED)
        return CLI_FAILED;
    if (error != 0)
        return cli_failed(error, "cannot start ouro-proxy");
    introduce(&app.plan.target, &origin);
    return load_and_serve();
}

static int run_origin(void *arg)
{
    return ouro_on_each_shard(origin_serve, arg, "origin", NULL);
}

static int demo_main(void *arg)
{
    struct ouro_scope scope;
    int error = ouro_on_each_shard(origin_open, NULL, "listen", NULL), result = CLI_FAILED;

    (void)arg;
    if (error == 0)
        error = ouro_scope_enter(&scope, 0);
    if (error != 0)
        return cli_failed(error, "cannot start the origin");
    error = ouro_spawn(&scope, run_origin, NULL, 0);
    if (error == 0)
        result = run_proxy();
    child_end(&app.proxy);
    ouro_scope_cancel(&scope);
    ouro_scope_leave(&scope);
    return error != 0 ? cli_failed(error, "cannot start the origin") : result;
}

/* --- the command line ------------------------------------------------------------------------ */

static error_t parse(int key, char *text, struct argp_state *state)
{
    if (cli_shards(state, key, text, &app.options))
        return 0;
    switch (key) {
    case KEY_SECONDS:
        app.seconds = (unsigned)cli_number(state, "--seconds", text, 1, 86400);
        return 0;
    case KEY_CONNECTIONS:
        app.connections = (unsigned)cli_number(state, "--connections", text, 1, 10000);
        return 0;
    case KEY_PORT:
        app.port = (int)cli_number(state, "--port", text, 0, 65535);
        return 0;
    case KEY_ONCE:
        app.once = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Nobody listens there now; somebody may in a moment, and then the proxy says so. */
static bool port_is_free(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    bool is_free;

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes); /* over what only lingers */
    is_free = bind(fd, (const struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return is_free;
}

/* On each shard in the worst case: every client, and every connection of the origin. */
static unsigned descriptors_for(unsigned connections)
{
    unsigned want = 2 * connections + 256;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && want > limit.rlim_max)
        want = (unsigned)limit.rlim_max;
    return want;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"seconds", KEY_SECONDS, "N", 0, "Make load for N seconds (default: 5)", 1},
        {"connections", KEY_CONNECTIONS, "N", 0, "Over N connections (default: 64)", 1},
        {"port", KEY_PORT, "PORT", 0,
         "Let the proxy listen on this port of 127.0.0.1; 0: any (default: 8080 if it is free, "
         "else any)",
         1},
        {"once", KEY_ONCE, NULL, 0,
         "End after the load, with exit status 0 only if every request succeeded", 1},
        CLI_SHARDS_OPTIONS,
        {0}};
    static const struct cli_tool tool = {.name = "ouro-demo",
                                         .doc = "Runs ouro-proxy on every CPU between a load "
                                                "client and an HTTP origin of its own, shows "
                                                "how it goes, and then keeps serving.",
                                         .options = options,
                                         .parser = parse};
    char listen[32];
    int value = CLI_FAILED, error;

    cli_parse(&tool, argc, argv, NULL);
    if (app.port < 0)
        app.port = port_is_free(PORT_WANTED) ? PORT_WANTED : 0;
    snprintf(listen, sizeof listen, "127.0.0.1:%d", app.port);
    origin_init();
    error = child_fork(&app.proxy, listen, &app.options);
    if (error != 0)
        return cli_failed(error, "cannot start a child process");
    app.options.descriptors = descriptors_for(app.connections);
    error = ouro_run(&app.options, demo_main, NULL, &value);
    child_kill(&app.proxy);
    if (error != 0 && ouro_start_error()[0] != '\0')
        return cli_failed(0, "cannot start: %s", ouro_start_error());
    return error != 0 ? cli_failed(error, "cannot start") : value;
}
