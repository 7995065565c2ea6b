/* SPDX-License-Identifier: MIT */
/* The runtime, inside: what all shards of the process share, and how they start and stop.
 *
 *   start    each thread makes its own shard; all report; all go, or all undo
 *
 *   stop     STOP to every shard      ┌───────────┐ root scope empty   ┌─────────┐ nothing open,
 *            (main ended, ouro_stop,  │ DRAINING  ├───────────────────►│ CLOSING ├──────────┐
 *            a signal)          ────► │ cancelled │                    │ the rest│          ▼
 *                                     └─────┬─────┘                    └────┬────┘   ┌───────────┐
 *                                           │ deadline: report by name      │ dead-  │  STOPPED  │
 *                                           └───────────────────────────────┴─line──►│ serves on │
 *                                                                                    └─────┬─────┘
 *            when all have STOPPED, shard 0 ends the reading of signals and sends EXIT     ▼
 *            to each: threads end, rings close
 *
 *   [RUN-1] A shard serves its lanes until EXIT: no message is sent to one that has gone.
 *   [RUN-3] A shard that has STOPPED has sent all that it had to send: it lies in lanes,
 *           which their receivers empty in the turn in which they see EXIT.
 * Shown by tests alone:
 *   [RUN-2] Memory that the kernel may still write (a task that did not end, an operation that did
 *           not complete) is leaked and counted, never freed.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <pthread.h>
#include "options.h"
#include "shard/task.h"

enum stop_phase { RUNNING = 0, DRAINING, CLOSING, STOPPED, EXITING };

struct runtime;

struct worker {
    struct runtime *runtime;
    struct shard *shard; /* made by its own thread */
    pthread_t thread;
    unsigned number;
    _Atomic int32_t node; /* of its CPU; -ENODATA: not known yet, or it is not pinned. Any thread */
    int error;            /* of its start */
    char why[256];
    enum stop_phase phase;
    bool swept; /* CLOSING: listeners are gone, the rest is being closed */
    uint64_t deadline_ns;
    struct ouro_timer deadline;
    struct mesh_message stop, exit, abandon;
};

struct runtime {
    /* constant after start */
    struct ouro_options options;
    unsigned n;
    uint16_t cpu[OURO_MAX_SHARDS];
    struct mesh mesh;
    struct worker *workers;
    ouro_task_fn *main_fn;
    void *main_arg;

    /* the start, under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned reported, failed;

    /* shard 0 only */
    int value;
    unsigned stopped;
    bool stop_sent, abandoned;

    _Atomic uint32_t stopping;    /* any thread */
    struct mesh_message ask_stop; /* posted once, by whoever set `stopping` */
};

/* The running one; NULL outside of ouro_run(). Held (runtime_hold/release) by threads that are no
 * shard. */
struct runtime *runtime_hold(void);
void runtime_release(void);

/* From any thread: asks for a stop. */
void runtime_stop(struct runtime *rt);

/* Shard 0: a stop, also one to come, does not drain (the second SIGINT). */
void runtime_abandon(struct runtime *rt);

/* Shard 0: every shard has stopped, and the signals are no longer read. */
void runtime_exit(struct runtime *rt);

/* stop.c: the worker's side, after each turn while it stops. */
void stop_step(struct worker *w);
void stop_init(struct runtime *rt);

/* signals.c: shard 0. */
int signals_start(struct shard *s, struct runtime *rt);
void signals_undo(void);            /* of a start after which nothing ran */
bool signals_stop(struct shard *s); /* true: it will end, and then call runtime_exit() */
uint64_t signals_blocked(const struct ouro_options *o);

extern __thread struct worker *worker_self;

#endif
