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
    unsigned forms;         /* in how many forms it runs: see scene_call */
    bool leaves_tasks;      /* ends with tasks that the stop has to cancel */
    bool asks_names;        /* of sockets: those of a fake kernel have none */
};

struct scene_call {
    const struct fault *fault;
    enum echo_form form;
    enum family family; /* Unix in the second form, else IPv4 */
    uint64_t seed;      /* of what happens by chance */
};

extern const struct scene scenes[];
extern const unsigned scenes_n;

/* One run. How many faults were injected. */
unsigned scene_once(const struct scene *scene, const struct fault *fault, enum echo_form form);

/* What a sweep of one scene under one sort of fault did. */
struct sweep {
    unsigned runs, injected;
};

/* Runs the scene, in each of its forms, under one fault after the other, at its 1st, 2nd, … chance,
 * until none was injected any more; what happens by chance (FAULT_LATE, FAULT_SHUFFLED) with the
 * seeds from 1 to `seeds`. */
struct sweep scene_sweep(const struct scene *scene, struct fault fault, unsigned seeds);

/* --- for the scenes --------------------------------------------------------------------------- */

/* True for the error that was injected into an operation: it did nothing, and may be tried again.
 */
static inline bool injected(const struct scene_call *c, long result)
{
    return c->fault->where == FAULT_OPERATION && result == c->fault->error;
}

/* True for the end of a connection whose other side met the error. */
static inline bool other_side_gave_up(const struct scene_call *c, long result)
{
    return c->fault->where == FAULT_OPERATION &&
           (result == 0 || result == -ECONNRESET || result == -EPIPE);
}

#define again_while_injected(c, result, call)                                                      \
    do {                                                                                           \
        result = (call);                                                                           \
    } while (injected(c, result))

/* Provided buffers of each size that a scene has. */
#define SCENE_BUFFERS 16

/* Connects, whatever is injected. */
void scene_connect(const struct scene_call *c, ouro_conn *conn, const struct ouro_addr *to);

int scene_start(void *arg);
int scene_echo(void *arg);
int scene_send_all(void *arg);
int scene_zero_copy(void *arg);
int scene_ask(void *arg);
int scene_connections(void *arg);
int scene_accept(void *arg);
int scene_starved(void *arg);
int scene_file(void *arg);
int scene_timers(void *arg);
int scene_cancel(void *arg);
int scene_cancel_all(void *arg);
int scene_stop(void *arg);

#endif
