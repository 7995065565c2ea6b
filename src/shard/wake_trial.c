/* SPDX-License-Identifier: MIT */
#include "shard/wake_trial.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "ring/ring.h"

#define ROUNDS  WAKE_TRIAL_ROUNDS
#define WAIT_NS (20 * OURO_NSEC_PER_MSEC) /* for one wake: what takes longer does not work */

enum { MESSAGE = 1, BELL = 2 }; /* user data */

/* One of two threads, each with a ring, which take turns in waking each other. */
struct player {
    struct ring ring;
    int eventfd;
    unsigned cpu;
    struct player *other;
    struct wake_trial *trial;
    pthread_barrier_t *start;
    bool broken;
};

static void wake(struct player *p, enum mesh_wake how)
{
    struct io_uring_sqe *sqe;
    uint64_t one = 1;

    if (how == WAKE_EVENTFD) {
        if (write(p->other->eventfd, &one, sizeof one) < 0)
            p->broken = true;
        return;
    }
    sqe = ring_sqe(&p->ring);
    if (sqe == NULL) {
        p->broken = true;
        return;
    }
    io_uring_prep_msg_ring(sqe, p->other->ring.u.ring_fd, 0, MESSAGE, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* Sleeps until woken: true. Everything that was to be submitted goes with the same call. */
static bool woken(struct player *p)
{
    uint64_t end = clock_now_ns() + WAIT_NS;
    struct io_uring_cqe *cqe;
    bool came = false, failed = false;
    unsigned head, n;

    while (!came && !failed && clock_now_ns() < end) {
        (void)ring_enter(&p->ring, WAIT_NS);
        n = 0;
        ring_for_each_cqe(&p->ring, head, cqe)
        {
            came = came || cqe->user_data == MESSAGE || cqe->user_data == BELL;
            failed = failed || cqe->res < 0;
            n++;
        }
        ring_advance(&p->ring, n);
    }
    return came && !failed;
}

static void arm_bell(struct player *p)
{
    struct io_uring_sqe *sqe = ring_sqe(&p->ring);

    if (sqe == NULL) {
        p->broken = true;
        return;
    }
    io_uring_prep_poll_multishot(sqe, p->eventfd, POLLIN | EPOLLET);
    sqe->user_data = BELL;
    (void)ring_enter(&p->ring, 0);
}

static void play(struct player *p, enum mesh_wake how, bool first)
{
    uint64_t begin = clock_now_ns();

    for (int i = 0; i < ROUNDS && !p->broken; i++) {
        if (first)
            wake(p, how);
        p->broken = p->broken || !woken(p);
        if (!first)
            wake(p, how);
    }
    (void)ring_enter(&p->ring, 0); /* the last one of the second player */
    if (first)
        p->trial->round_trip_ns[how] = p->broken ? UINT64_MAX : (clock_now_ns() - begin) / ROUNDS;
}

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* Both make their rings, or neither plays. */
static void run(struct player *p, bool first)
{
    const struct ring_options o = {.sq_entries = 8, .cq_entries = 64};
    bool both;

    pin(p->cpu);
    p->broken = ring_init(&p->ring, &o, NULL, 0) != 0;
    if (!p->broken)
        arm_bell(p);
    pthread_barrier_wait(p->start);
    both = !p->broken && !p->other->broken;
    pthread_barrier_wait(p->start);
    if (both) {
        play(p, WAKE_EVENTFD, first);
        pthread_barrier_wait(p->start);
        p->broken = false;
        play(p, WAKE_RING, first);
    }
    pthread_barrier_wait(p->start); /* nobody's ring goes before the other has done with it */
    ring_destroy(&p->ring);
}

static void *second(void *arg)
{
    run(arg, false);
    return NULL;
}

void wake_trial(struct wake_trial *t, unsigned here, unsigned there)
{
    pthread_barrier_t start;
    struct player p[2] = {{.cpu = here, .other = &p[1], .trial = t, .start = &start},
                          {.cpu = there, .other = &p[0], .trial = t, .start = &start}};
    cpu_set_t affinity;
    pthread_t thread;

    *t = (struct wake_trial){.round_trip_ns = {UINT64_MAX, UINT64_MAX}};
    p[0].eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p[1].eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_barrier_init(&start, NULL, 2);
    (void)sched_getaffinity(0, sizeof affinity, &affinity);
    if (p[0].eventfd >= 0 && p[1].eventfd >= 0 &&
        pthread_create(&thread, NULL, second, &p[1]) == 0) {
        run(&p[0], true);
        pthread_join(thread, NULL);
    }
    (void)sched_setaffinity(0, sizeof affinity, &affinity);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < 2; i++)
        if (p[i].eventfd >= 0)
            close(p[i].eventfd);
    t->better =
        t->round_trip_ns[WAKE_RING] < t->round_trip_ns[WAKE_EVENTFD] ? WAKE_RING : WAKE_EVENTFD;
}
