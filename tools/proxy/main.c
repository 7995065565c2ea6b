/* SPDX-License-Identifier: MIT */
/* The command line of ouro-proxy, and what happens on its main fiber: open, run, signals. */
#include "proxy/proxy.h"
#include "common/shards.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* As many connections per shard as most want, if the limit of descriptors allows it. */
#define ROOM_DEFAULT 32768

static struct {
    struct ouro_options options;
    struct proxy proxy;
} app = {.options = {.size = sizeof(struct ouro_options), .signals = OURO_SIGNAL_BIT(SIGUSR1)},
         .proxy.config = {.connect_timeout_ns = 5 * OURO_NSEC_PER_SEC,
                          .idle_timeout_ns = 600 * OURO_NSEC_PER_SEC,
                          .drain_timeout_ns = 30 * OURO_NSEC_PER_SEC}};

/* --- the main fiber ---------------------------------------- */

/* The first signal begins the drain; the second ends everything. */
static int end_on_signal(void *arg)
{
    uint64_t set = OURO_SIGNAL_BIT(SIGTERM) | OURO_SIGNAL_BIT(SIGINT);

    if (ouro_signal(set) > 0) {
        ouro_on_each_shard(service_drain, arg, "drain", NULL);
        if (ouro_signal(set) > 0)
            ouro_stop();
    }
    return 0;
}

static int report_on_signal(void *arg)
{
    while (ouro_signal(OURO_SIGNAL_BIT(SIGUSR1)) > 0)
        report_print(arg);
    return 0;
}

static int cannot_listen(const struct proxy *p, int error)
{
    char text[OURO_ADDR_STRLEN];
    size_t failed = 0;

    for (unsigned i = 0; i < ouro_shard_count(); i++) /* every shard stopped where it failed */
        if (p->shard[i].listeners < p->config.listen.count)
            failed = p->shard[i].listeners;
    (void)!ouro_addr_format(&p->config.listen.addr[failed], text, sizeof text);
    ouro_on_each_shard(service_close, &app.proxy, "close", NULL);
    return cli_failed(error, "cannot listen on %s", text);
}

static void announce(const struct proxy_shard *s)
{
    char text[OURO_ADDR_STRLEN];
    struct ouro_addr bound;

    for (size_t i = 0; i < s->listeners; i++) {
        ouro_listener_addr(s->listener[i], &bound);
        (void)!ouro_addr_format(&bound, text, sizeof text);
        printf("listening on %s\n", text);
    }
    fflush(stdout);
}

/* The limit, now that the number of shards is known. */
static int set_limit(struct proxy_config *c)
{
    unsigned shards = ouro_shard_count();
    uint64_t room = service_room(app.options.descriptors) * shards;

    if (c->max_connections == 0)
        c->max_connections = room;
    if (c->max_connections < shards)
        return cli_failed(0,
                          "--max-connections: %" PRIu64 " is less than one for each of %u shards",
                          c->max_connections, shards);
    if (c->max_connections > room)
        return cli_failed(0,
                          "--max-connections: %" PRIu64 " is more than %" PRIu64
                          ", for which this process may open descriptors (ulimit -n)",
                          c->max_connections, room);
    return CLI_OK;
}

static int become_user(const struct ouro_privileges *to)
{
    struct ouro_error why;

    if (to->user == NULL || ouro_drop_privileges(to, &why) == 0)
        return CLI_OK;
    ouro_on_each_shard(service_close, &app.proxy, "close", NULL);
    return cli_failed(0, "--user: %s", why.text);
}

static int proxy_main(void *arg)
{
    struct proxy *p = arg;
    int error;

    if (set_limit(&p->config) != CLI_OK)
        return CLI_FAILED;
    error = ouro_on_each_shard(service_open, p, "listen", NULL);
    if (error == -ECANCELED)
        return CLI_OK; /* a signal came first */
    if (error != 0)
        return cannot_listen(p, error);
    if (become_user(&p->config.become) != CLI_OK)
        return CLI_FAILED;
    announce(&p->shard[0]);
    error = ouro_spawn(NULL, end_on_signal, p, 0);
    if (error == 0)
        error = ouro_spawn(NULL, report_on_signal, p, 0);
    if (error == 0)
        error = ouro_on_each_shard(service_run, p, "service", NULL);
    if (p->shard[0].draining)
        report_drain(p, ouro_shard_count());
    return error < 0 && error != -ECANCELED ? cli_failed(error, "cannot serve") : CLI_OK;
}

/* --- the command line ---------------------------------------- */

enum {
    KEY_LISTEN = CLI_KEY_TOOL,
    KEY_BACKEND,
    KEY_BALANCE,
    KEY_CONNECT_TIMEOUT,
    KEY_IDLE_TIMEOUT,
    KEY_MAX_CONNECTIONS,
    KEY_MAX_PER_SOURCE,
    KEY_MAX_RATE,
    KEY_USER,
    KEY_DRAIN_TIMEOUT
};

static void parse_balance(struct argp_state *state, const char *text, struct proxy_config *c)
{
    static const char *const names[] = {[BALANCE_ROUND_ROBIN] = "round-robin",
                                        [BALANCE_LEAST_CONNECTIONS] = "least-connections",
                                        [BALANCE_SOURCE_HASH] = "source-hash"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            c->balance = (enum balance)i;
            return;
        }
    cli_bad_option(state, "--balance", "'%s' is not round-robin, least-connections or source-hash",
                   text);
}

static void parse_backend(struct argp_state *state, const char *text, struct proxy_config *c)
{
    size_t first = c->backends.count;

    cli_addrs(state, "--backend", text, &c->backends);
    for (size_t i = first; i < c->backends.count; i++)
        if (ouro_addr_port(&c->backends.addr[i]) == 0)
            cli_bad_option(state, "--backend", "'%s': nobody listens on port 0", text);
}

static void check_all(struct argp_state *state, const struct proxy_config *c)
{
    if (c->listen.count == 0)
        cli_bad_option(state, "--listen", "is missing; an address such as 127.0.0.1:8080");
    if (c->backends.count == 0)
        cli_bad_option(state, "--backend", "is missing; an address such as 127.0.0.1:80");
    if (c->connect_timeout_ns == 0)
        cli_bad_option(state, "--connect-timeout", "0 would refuse every client");
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct proxy_config *c = &app.proxy.config;

    if (cli_shards(state, key, text, &app.options))
        return 0;
    switch (key) {
    case KEY_LISTEN:
        cli_addrs(state, "--listen", text, &c->listen);
        return 0;
    case KEY_BACKEND:
        parse_backend(state, text, c);
        return 0;
    case KEY_BALANCE:
        parse_balance(state, text, c);
        return 0;
    case KEY_CONNECT_TIMEOUT:
        c->connect_timeout_ns = cli_duration_ns(state, "--connect-timeout", text);
        return 0;
    case KEY_IDLE_TIMEOUT:
        c->idle_timeout_ns = cli_duration_ns(state, "--idle-timeout", text);
        return 0;
    case KEY_MAX_CONNECTIONS:
        c->max_connections = cli_number(state, "--max-connections", text, 1, 100000000);
        return 0;
    case KEY_MAX_PER_SOURCE:
        c->max_per_source = cli_number(state, "--max-per-source", text, 1, 1000000);
        return 0;
    case KEY_MAX_RATE:
        c->max_rate = cli_number(state, "--max-rate", text, 1, 10000000);
        return 0;
    case KEY_USER:
        c->become = (struct ouro_privileges){.size = sizeof c->become, .user = text};
        return 0;
    case KEY_DRAIN_TIMEOUT:
        c->drain_timeout_ns = cli_duration_ns(state, "--drain-timeout", text);
        return 0;
    case ARGP_KEY_END:
        check_all(state, c);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"listen", KEY_LISTEN, "ADDR", 0,
     "Accept clients there: 127.0.0.1:8080, [::1]:8080, unix:/run/proxy; may be given several "
     "times",
     1},
    {"backend", KEY_BACKEND, "ADDR", 0,
     "Connect them there; may be given several times. One that cannot be connected to is left "
     "alone "
     "for 100 ms, twice as long after each further failure, at most 5 s; then one client tries it",
     1},
    {"balance", KEY_BALANCE, "HOW", 0,
     "round-robin (default); least-connections; source-hash: by the client's address, so that a "
     "client stays with its backend",
     2},
    {"connect-timeout", KEY_CONNECT_TIMEOUT, "T", 0,
     "Try the next backend after T, such as 500ms (default: 5s)", 3},
    {"idle-timeout", KEY_IDLE_TIMEOUT, "T", 0,
     "Reset connections that carried nothing for T (default: 10m; 0: never)", 3},
    {"drain-timeout", KEY_DRAIN_TIMEOUT, "T", 0,
     "After SIGTERM, reset what has not ended by itself within T (default: 30s)", 3},
    {"max-connections", KEY_MAX_CONNECTIONS, "N", 0,
     "Above N connections clients wait to be accepted (default: as descriptors allow)", 3},
    {"max-per-source", KEY_MAX_PER_SOURCE, "N", 0,
     "Reset clients whose address has N connections already; IPv6 addresses count by their first "
     "64 "
     "bits (default: no limit)",
     3},
    {"max-rate", KEY_MAX_RATE, "N", 0,
     "Accept at most N clients a second; the others wait (default: no limit)", 3},
    {"user", KEY_USER, "USER", 0,
     "Once the ports are open, become USER, a name or a number, for good (default: stay)", 4},
    CLI_SHARDS_OPTIONS,
    {0}};

static const struct cli_tool tool = {
    .name = "ouro-proxy",
    .doc =
        "Carries TCP and Unix-socket connections to backends."
        "\v"
        "Every shard works by itself: limits are divided among them (the remainder goes to the "
        "first "
        "ones, none gets less than one), and each has its own view of balance and of the backends' "
        "state."
        "\n\n"
        "The end of a stream, and a reset, are passed on to the other side. A client for which no "
        "backend is left is reset."
        "\n\n"
        "SIGTERM and SIGINT drain: no new clients, and the process ends with the last connection. "
        "A "
        "second one ends it at once. SIGUSR1 prints counters.",
    .options = options,
    .parser = parse};

static void size_descriptors(struct ouro_options *o, uint64_t max_connections)
{
    uint64_t want = service_descriptors(max_connections != 0 ? max_connections : ROOM_DEFAULT);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < want)
        want = limit.rlim_max;
    o->descriptors = (uint32_t)(want < 1048576 ? want : 1048576);
}

int main(int argc, char **argv)
{
    int value = CLI_FAILED, error;

    cli_parse(&tool, argc, argv, NULL);
    size_descriptors(&app.options, app.proxy.config.max_connections);
    error = ouro_run(&app.options, proxy_main, &app.proxy, &value);
    return error != 0 ? cli_start_failed("ouro-proxy", error) : value;
}
