/* SPDX-License-Identifier: MIT */
/* A random program: actors (fibers and stackless tasks) that take random steps on the objects of
 * their shard, and a model that says which results are possible.
 *
 * What an actor decides comes from its own stream of random numbers, so that a seed repeats it; who
 * comes first when two race is the kernel's business and may differ from run to run.
 *
 * The rules of the model
 *   - every byte of a stream has a pattern of its place, so a byte lost, doubled or overtaken shows
 *   - the result of a cancelled operation is the truth: what it did not report did not move
 *   - an end of stream comes after all that was sent, unless one side was closed with data unread
 *   - errors are those that something the model knows of explains
 *   - everything that was opened is closed at the end, and nothing is left of it (run_with) */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include "base/atomic.h"
#include "base/check.h"
#include "support/net_faulty.h"
#include "support/net_support.h"

#define LINKS      6
#define FILES      3
#define SHARDS     3
#define FILE_MOST  (48 * 1024)
#define BURST_MOST (40 * 1024)

/* One direction of a connection. */
struct way {
    uint64_t seed, sent, received;
    uint64_t flying; /* bytes of the send that is under way */
    bool sending, receiving;
    bool ended; /* the receiver was told the end */
    bool lossy; /* something was closed with data unread: the rest need not arrive */
};

/* Both ends on one shard; way[e] is what end e sends. */
struct link {
    bool used;
    enum family family;
    unsigned users; /* actors at work on it */
    ouro_conn end[2];
    struct way way[2];
    bool finished[2]; /* SHUT_WR was asked for */
    bool closing[2], closed[2];
};

struct model_file {
    char name[32];
    bool exists, busy;
    ouro_file handle;
    bool open;
    size_t len;
    char data[FILE_MOST];
};

struct world {
    struct link link[LINKS];
    struct model_file file[FILES];
    struct actor *actors;
    ouro_listener listener[FAMILIES];
    struct ouro_addr address[FAMILIES];
    unsigned echoes, visitors; /* tasks that serve others */
    uint64_t serial;
};

struct program {
    uint64_t seed;
    unsigned shards;
    struct fault fault;
    char directory[128];
    struct world world[SHARDS];
    _Atomic uint64_t steps;   /* taken by anybody: the watchdog's sign of life */
    _Atomic uint64_t bytes;   /* that arrived and were checked */
    _Atomic uint64_t cancels; /* of actors */
};
extern struct program program;

struct actor {
    uint64_t random;
    unsigned steps, depth;
    bool cancelled; /* it was asked to end */
    _Atomic(const char *) doing;
    ouro_fiber fiber;            /* or */
    struct ouro_task *task;      /* a stackless one */
    struct actor *next, **pprev; /* of its shard */
};

/* --- for the steps ---------------------------------------------------------------------------- */

static inline struct world *here(void)
{
    return &program.world[ouro_current_shard()];
}

static inline unsigned below(struct actor *a, unsigned n)
{
    return (unsigned)(random_next(&a->random) >> 33) % n;
}

static inline bool one_in(struct actor *a, unsigned n)
{
    return below(a, n) == 0;
}

/* Mostly small, now and then up to `most`; at least 1. */
size_t some_size(struct actor *a, size_t most);

/* Waits in one of many ways, none of which lasts: DONE on return, and its result. */
int wait_some_way(struct actor *a, struct ouro_future *f);

/* Waits to the end, which is sure to come. -ECANCELED only if the task is cancelled. */
int wait_to_end(struct ouro_future *f);

/* True for the error that was injected, or one of cancellation and deadlines. */
bool cut_short(int error);

/* An error needs an explanation. */
#define must_explain(error, explanation)                                                           \
    ((error) >= 0 || cut_short(error) || (explanation) ? (void)0 : must_be(error, 0))

/* Stackless actors: the memory of one, to be freed when the scope is left; NULL: not spawned. */
void *stackless_spawn(struct actor *a, struct ouro_scope *scope, unsigned steps);
void actor_enter(struct actor *a, uint64_t random, unsigned steps, unsigned depth);
void actor_leave(struct actor *a);

/* Steps. Each may find nothing to do. */
void step_link_open(struct actor *a);
void step_link_send(struct actor *a);
void step_link_recv(struct actor *a);
void step_link_source(struct actor *a);
void step_link_finish(struct actor *a);
void step_link_close(struct actor *a);
void step_visit(struct actor *a);
void step_datagrams(struct actor *a);
void step_file(struct actor *a);
void step_whole_file(struct actor *a);
void step_pipe(struct actor *a);
void step_poll(struct actor *a);
void step_time(struct actor *a);
void step_nop(struct actor *a);
void step_promise(struct actor *a);
void step_family(struct actor *a);
void step_any(struct actor *a);
void step_remote(struct actor *a);

/* Of the links, for stackless actors too: who may send or receive there, from when until when. */
struct link *link_some(struct actor *a, unsigned *end);
bool link_may_send(struct link *l, unsigned end, size_t len);
void link_sent(struct link *l, unsigned end, size_t moved, int error);
bool link_may_recv(struct link *l, unsigned end);
void link_received(struct link *l, unsigned end, const char *data, int n);

/* Actors of this shard, until all have ended. */
void actors_run(uint64_t seed, unsigned n, unsigned steps);

/* What a shard has at the beginning and must have lost at the end. */
void links_close(void);
void files_close(void);
void echo_open(void);
void echo_close(void);

#endif
