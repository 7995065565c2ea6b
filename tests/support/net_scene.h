/* SPDX-License-Identifier: MIT */
/* Scenes for fault injection: small services and clients that know which errors may come, go on
 * where that is right, and check that every byte that was reported did move, and no other. */
#ifndef SUPPORT_NET_SCENE_H
#define SUPPORT_NET_SCENE_H

#include "support/net_echo.h"
#include "support/net_faulty.h"

struct scene {
    const char *name;
    int (*main)(void *arg); /* gets a struct scene_call */
    bool leaves_tasks;      /* ends with tasks that the stop has to cancel */
};

struct scene_call {
    const struct fault *fault;
    enum echo_form form;
    enum family family;
};

extern const struct scene scenes[];
extern const unsigned scenes_n;

/* Runs a scene under one fault after the other, at its 1st, 2nd, … chance, until none was injected
 * any more. The sum of the faults. */
unsigned scene_under(const struct scene *scene, enum fault_where where, int error);

/* Every scene; forms of echo and families as far as they differ. */
unsigned scenes_under(enum fault_where where, int error);

/* One run with a fault as it stands. How many were injected. */
unsigned scene_once(const struct scene *scene, const struct fault *fault, enum echo_form form);

#endif
