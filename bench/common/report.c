/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>

static void print_head(const struct bench_label *label, const char *metric, const char *unit)
{
    printf("{\"bench\":\"%s\",\"subject\":\"%s\",\"parameter\":\"%s\",\"metric\":\"%s\","
           "\"unit\":\"%s\"",
           label->bench, label->subject, label->parameter, metric, unit);
}

void bench_report(const struct bench_label *label, const char *metric, const char *unit,
                  double value)
{
    flockfile(stdout);
    print_head(label, metric, unit);
    printf(",\"value\":%.10g}\n", value);
    fflush(stdout);
    funlockfile(stdout);
}

void bench_report_summary(const struct bench_label *label, const char *metric, const char *unit,
                          const struct bench_summary *s)
{
    flockfile(stdout);
    print_head(label, metric, unit);
    printf(",\"value\":%.6g,\"min\":%.6g,\"mad\":%.6g,\"low\":%.6g,\"high\":%.6g,\"rounds\":%zu}\n",
           s->median, s->minimum, s->mad, s->low, s->high, s->count);
    fflush(stdout);
    funlockfile(stdout);
}
