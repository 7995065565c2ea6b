/* SPDX-License-Identifier: MIT */
/* What the user sees of the load: a live line, and the summary. */
#ifndef OURO_TOOLS_DEMO_SHOW_H
#define OURO_TOOLS_DEMO_SHOW_H

#include "load.h"

struct show_totals {
    struct load_sample sum;
    uint64_t ns; /* how long the load lasted */
    uint64_t proxy_cpu_ns;
    unsigned connections;
};

/* How often the line is printed: several times a second over itself on a terminal, else once a
 * second, one after the other. */
uint64_t show_period_ns(void);

/* `ns`: since the last one; `at_ns`: since the beginning. */
void show_line(const struct load_sample *sample, uint64_t ns, uint64_t at_ns);

void show_summary(const struct show_totals *t);

#endif
