/* SPDX-License-Identifier: MIT */
/*
 * What every benchmark prints: one JSON object per line on standard output,
 *
 *     {"bench":"echo","subject":"epoll","parameter":"64x64","metric":"latency_p99","unit":"us",
 *      "value":181.2}
 *
 * so that bench/run, or anything else, can collect lines of different programs in one file.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "stats.h"

/* What all lines of one measurement share. Strings without '"', '\\' and control characters. */
struct bench_label {
    const char *bench;
    const char *subject;
    const char *parameter;
};

void bench_report(const struct bench_label *label, const char *metric, const char *unit,
                  double value);

/* The median as the value, and beside it "min", "mad", "low", "high" (95 %) and "rounds". */
void bench_report_summary(const struct bench_label *label, const char *metric, const char *unit,
                          const struct bench_summary *summary);

#endif
