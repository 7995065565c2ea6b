/* SPDX-License-Identifier: MIT */
/* A kernel table above another one: completions come late, and in another order, by a seed. Only
 * those of the same operation keep theirs (a multishot's, a zero-copy send's two), as those of a
 * kernel do.
 *
 *      library ─── SQEs: the kernel's own memory ───► kernel below
 *              ◄── CQ: a copy ◄── held back ◄──────────  its CQ
 *
 * One ring at a time. */
#ifndef SUPPORT_LATE_KERNEL_H
#define SUPPORT_LATE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include "ring/kernel.h"

struct late_options {
    uint64_t seed;
    unsigned turns; /* a completion is held back for 0 to `turns` calls, by chance */
    bool shuffled;  /* those that come together come in any order */
};

extern const struct kernel kernel_late;

/* For rings made from now on; `below` is asked for everything. */
void late_begin(const struct kernel *below, const struct late_options *o);

/* How many completions were held back or overtaken. Fails if something is left. */
unsigned late_end(void);

#endif
