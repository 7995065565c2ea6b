/* SPDX-License-Identifier: MIT */
#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static bool terminal(void)
{
    return isatty(STDOUT_FILENO) != 0;
}

uint64_t show_period_ns(void)
{
    return terminal() ? OURO_NSEC_PER_SEC / 4 : OURO_NSEC_PER_SEC;
}

static double per_second(uint64_t n, uint64_t ns)
{
    return ns == 0 ? 0 : (double)n * 1e9 / (double)ns;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

void show_line(const struct load_sample *s, uint64_t ns, uint64_t at_ns)
{
    printf("%s  %5.1f s  %8.0f requests/s   p50 %.3f ms   p99 %.3f ms   %" PRIu64 " errors%s",
           terminal() ? "\r" : "", (double)at_ns / 1e9, per_second(s->latency.count, ns),
           ms(latency_quantile_ns(&s->latency, 0.50)), ms(latency_quantile_ns(&s->latency, 0.99)),
           s->errors, terminal() ? "\033[K" : "\n");
    fflush(stdout);
}

static void show_latency(const struct latency *l)
{
    printf(
        "  latency       p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, longest %.3f ms\n",
        ms(latency_quantile_ns(l, 0.50)), ms(latency_quantile_ns(l, 0.90)),
        ms(latency_quantile_ns(l, 0.99)), ms(latency_quantile_ns(l, 0.999)), ms(l->longest_ns));
}

void show_summary(const struct show_totals *t)
{
    uint64_t requests = t->sum.latency.count;

    printf("%s%.1f s of load over %u connections, through the proxy:\n",
           terminal() ? "\r\033[K" : "", (double)t->ns / 1e9, t->connections);
    printf("  requests      %" PRIu64 ", %.0f/s, %" PRIu64 " errors\n", requests,
           per_second(requests, t->ns), t->sum.errors);
    if (requests == 0)
        return;
    show_latency(&t->sum.latency);
    printf("  proxy's CPU   %.2f us per request, %.0f %% of one CPU\n",
           (double)t->proxy_cpu_ns / 1e3 / (double)requests,
           100 * (double)t->proxy_cpu_ns / (double)t->ns);
}
