/* SPDX-License-Identifier: MIT */
/* The table of a fault sweep: scenes down, faults across or the other way round, in each cell how
 * often the fault was injected. */
#ifndef SUPPORT_SWEEP_TABLE_H
#define SUPPORT_SWEEP_TABLE_H

#include "support/net_scene.h"

/* A sort of fault, with the errors it takes in turn. */
struct sweep_row {
    const char *name;
    enum fault_where where;
    int errors[8];    /* ends with 0; none: one without an error */
    const char *only; /* the one scene it is tried on; NULL: all */
    bool always;      /* at every chance instead of the k-th */
};

/* Whether the long sweep was asked for (OURO_SWEEP=full). */
bool sweep_full(void);

/* Runs a row over every scene, on the fake kernel those that it can, and keeps what was injected.
 */
void sweep_run(const struct sweep_row *row);

/* Prints what was kept, also to the file that OURO_SWEEP_TABLE names: Markdown, appended. */
void sweep_print(const char *title);

#endif
