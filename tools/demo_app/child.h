/* SPDX-License-Identifier: MIT */
/* ouro-proxy as a child process.
 *
 *      child_fork ──► WAITING ──child_start──► STARTING ──child_listening──► LISTENING
 *                        │                         │                            │
 *                        └────── child_end ────────┴────────────────────────────┘
 *
 * It is forked before the runtime has threads and memory that the kernel writes to, and waits for
 * the address of its backend before it becomes ouro-proxy. It ends with its parent, however that
 * ends. A process group of its own keeps Ctrl-C from it: the parent ends it in order. */
#ifndef OURO_TOOLS_DEMO_CHILD_H
#define OURO_TOOLS_DEMO_CHILD_H

#include <ouro.h>

struct child {
    pid_t pid;  /* 0: none, or reaped */
    int pidfd;  /* readable when it has ended */
    int orders; /* where its backend is written to */
    int said;   /* what it prints */
    int status; /* of wait(2), when reaped */
};

/* Before ouro_run(). `listen`: the proxy's address; `o`: its shards and CPUs. 0 or -errno. */
int child_fork(struct child *c, const char *listen, const struct ouro_options *o);

/* Lets it run. 0 or -errno. */
int child_start(struct child *c, const struct ouro_addr *backend);

/* Waits until it listens, and where. Fiber only. -ETIMEDOUT; -ECHILD: it ended instead. */
int child_listening(struct child *c, struct ouro_addr *out, uint64_t timeout_ns);

/* CPU time it has used so far, of all its threads. */
uint64_t child_cpu_ns(const struct child *c);

/* Ends and reaps it: SIGTERM up to three times, a second apart, then SIGKILL. A release. Fiber
 * only. */
void child_end(struct child *c);

/* The same without a runtime and without patience. */
void child_kill(struct child *c);

/* "exit status 1", "signal 9". */
void child_describe(const struct child *c, char *buf, size_t n);

#endif
