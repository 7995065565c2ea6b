/* SPDX-License-Identifier: MIT */
/* The load generator of the echo benchmarks; what it does stands in common/load.h. */
#include "common/load.h"
#include "common/report.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_CLOSE = 256, VERIFY, BENCH, SUBJECT, WARM_UP, PID };

static const struct argp_option option_table[] = {
    {"connect", 'a', "ADDRESS:PORT", 0, "the server; IPv4 (needed)", 0},
    {"connections", 'n', "N", 0, "connections of all threads together (64)", 0},
    {"bytes", 'b', "N", 0, "bytes of a request and of its answer (64)", 0},
    {"seconds", 's', "S", 0, "length of the measured window (3)", 0},
    {"warm-up", WARM_UP, "S", 0, "time before it (0.5)", 0},
    {"cpus", 'c', "LIST", 0, "one client thread on each of these CPUs (1)", 0},
    {"pid", PID, "PID", 0, "the server's process: measure its CPU time, too", 0},
    {"verify", VERIFY, NULL, 0, "compare the content of the answers", 0},
    {"open-close", OPEN_CLOSE, NULL, 0, "a new connection for every request", 0},
    {"bench", BENCH, "NAME", 0, "the name in the output (echo or open-close)", 0},
    {"subject", SUBJECT, "NAME", 0, "what is measured, in the output (server)", 0},
    {0},
};

static double parse_number(struct argp_state *state, const char *text, double low, double high)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || *end || !(n >= low && n <= high))
        argp_error(state, "'%s' is not a number from %g to %g", text, low, high);
    return n;
}

static void parse_address(struct argp_state *state, char *text, struct sockaddr_in *address)
{
    char *colon = strrchr(text, ':');

    address->sin_family = AF_INET;
    if (!colon)
        argp_error(state, "'%s' is not ADDRESS:PORT", text);
    address->sin_port = htons((uint16_t)parse_number(state, colon + 1, 1, 65535));
    *colon = '\0';
    if (inet_pton(AF_INET, text, &address->sin_addr) != 1)
        argp_error(state, "'%s' is not an IPv4 address", text);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct load_options *options = state->input;

    switch (key) {
    case 'a':
        parse_address(state, text, &options->server);
        break;
    case 'n':
        options->connections = (unsigned)parse_number(state, text, 1, 32768);
        break;
    case 'b':
        options->bytes = (unsigned)parse_number(state, text, 1, 1 << 24);
        break;
    case 's':
        options->seconds = parse_number(state, text, 0.01, 86400);
        break;
    case WARM_UP:
        options->warm_up_s = parse_number(state, text, 0, 3600);
        break;
    case 'c':
        options->cpu_count = cpus_parse(text, options->cpus);
        if (options->cpu_count < 0)
            argp_error(state, "'%s' is not a list of CPUs", text);
        break;
    case PID:
        options->pid = (int)parse_number(state, text, 1, 1 << 30);
        break;
    case VERIFY:
        options->verify = true;
        break;
    case OPEN_CLOSE:
        options->open_close = true;
        break;
    case BENCH:
        options->bench = text;
        break;
    case SUBJECT:
        options->subject = text;
        break;
    case ARGP_KEY_END:
        if (!options->server.sin_port)
            argp_error(state, "--connect is needed");
        if (options->connections < (unsigned)options->cpu_count)
            argp_error(state, "fewer connections than threads");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void *run_client(void *argument)
{
    struct load_client *client = argument;
    int error = cpus_pin(client->cpu);

    if (error)
        load_fail("pinning a client", error);
    if (client->options->open_close)
        load_open_close(client);
    else
        load_echo(client);
    return NULL;
}

/* The first client reads the server's CPU time, at the very edges of its own window. */
static void watch_server(struct load_client *client, int pid)
{
    int error;

    if (!pid)
        return;
    error = clock_getcpuclockid(pid, &client->server_clock);
    if (error)
        load_fail("the server's CPU clock", error);
    client->reads_server_cpu = true;
}

static void run_all(const struct load_options *options, struct load_client *clients)
{
    pthread_t threads[BENCH_MAX_CPUS];
    pthread_barrier_t barrier;
    unsigned count = (unsigned)options->cpu_count;

    pthread_barrier_init(&barrier, NULL, count);
    watch_server(&clients[0], options->pid);
    for (unsigned i = 0; i < count; i++) {
        int error;

        clients[i].options = options;
        clients[i].start = &barrier;
        clients[i].cpu = options->cpus[i];
        clients[i].connections = options->connections / count + (i < options->connections % count);
        error = pthread_create(&threads[i], NULL, run_client, &clients[i]);
        if (error)
            load_fail("pthread_create", error);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void print_cpu(const struct bench_label *label, const struct load_result *sum)
{
    double cpu_s = (double)sum->server_cpu_ns / 1e9, requests = (double)sum->requests;

    bench_report(label, "server_cpu", "s", cpu_s);
    bench_report(label, "server_load", "1", cpu_s * 1e9 / (double)sum->window_ns);
    if (sum->requests && cpu_s > 0) {
        bench_report(label, "cpu_per_request", "us", cpu_s * 1e6 / requests);
        bench_report(label, "requests_per_cpu_second", "1/s", requests / cpu_s);
    }
}

static void print(const struct load_options *options, const struct load_result *sum)
{
    struct bench_label label = {options->bench, options->subject, NULL};
    char parameter[32];

    snprintf(parameter, sizeof parameter, "%ux%u", options->connections, options->bytes);
    label.parameter = parameter;
    bench_report(&label, "requests", "1", (double)sum->requests);
    bench_report(&label, "requests_per_second", "1/s",
                 (double)sum->requests * 1e9 / (double)sum->window_ns);
    bench_report(&label, "latency_p50", "us", histogram_quantile(&sum->latency, 0.5) / 1e3);
    bench_report(&label, "latency_p99", "us", histogram_quantile(&sum->latency, 0.99) / 1e3);
    bench_report(&label, "latency_max", "us", (double)sum->latency.maximum / 1e3);
    bench_report(&label, "errors", "1", (double)sum->errors);
    if (options->pid)
        print_cpu(&label, sum);
}

static void add(struct load_result *sum, const struct load_result *one)
{
    sum->requests += one->requests;
    sum->errors += one->errors;
    sum->server_cpu_ns += one->server_cpu_ns;
    if (one->window_ns > sum->window_ns)
        sum->window_ns = one->window_ns;
    histogram_merge(&sum->latency, &one->latency);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Loads an echo server and prints what it did as JSON lines.",
    };
    struct load_options options = {
        .connections = 64,
        .bytes = 64,
        .seconds = 3,
        .warm_up_s = 0.5,
        .cpus = {1},
        .cpu_count = 1,
        .subject = "server",
    };
    struct load_result *sum = calloc(1, sizeof *sum);
    struct load_client *clients;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!options.bench)
        options.bench = options.open_close ? "open-close" : "echo";
    clients = calloc((size_t)options.cpu_count, sizeof *clients);
    if (!sum || !clients)
        load_fail("memory", ENOMEM);
    cpus_raise_open_files();
    run_all(&options, clients);
    for (int i = 0; i < options.cpu_count; i++)
        add(sum, &clients[i].result);
    print(&options, sum);
    return sum->requests && !sum->errors ? 0 : 1;
}
