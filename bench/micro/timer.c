/* SPDX-License-Identifier: MIT */
/*
 * What a timer costs: insert and cancel with few and with a million live, expiry, an idle turn.
 * Held against the same nodes on a bare list, in the same run: pushed and popped in order, and
 * pushed and unlinked in the random order in which timers are cancelled, which is the least that
 * any intrusive store can cost. An operation is one timer in and out.
 */
#include "common/harness.h"
#include "shard/wheel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HOUR_NS UINT64_C(3600000000000)
#define MANY    1000000U
#define FEW     100U
#define STRIDE  64U /* bytes from node to node: a timer stands inside an operation */

struct set {
    struct wheel wheel;
    char *memory;
    uint32_t *order; /* a random permutation: nobody cancels in the order of insertion */
    uint64_t *deadlines;
    size_t live;
    uint64_t step_ns, longest_ns, seed;
};

static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static struct ouro_wheel_node *node_at(const struct set *s, size_t i)
{
    return (struct ouro_wheel_node *)(s->memory + i * STRIDE);
}

static void shuffle(struct set *s)
{
    for (size_t i = 0; i < s->live; i++)
        s->order[i] = (uint32_t)i;
    for (size_t i = s->live - 1; i > 0; i--) {
        size_t j = random_next(&s->seed) % (i + 1);
        uint32_t other = s->order[i];

        s->order[i] = s->order[j];
        s->order[j] = other;
    }
    for (size_t i = 0; i < s->live; i++)
        s->deadlines[i] = s->wheel.now_ns + 1 + random_next(&s->seed) % HOUR_NS;
}

static void insert_all(struct set *s)
{
    for (size_t i = 0; i < s->live; i++)
        wheel_insert(&s->wheel, node_at(s, i), s->deadlines[i]);
}

static void cancel_all(struct set *s)
{
    for (size_t i = 0; i < s->live; i++)
        wheel_cancel(&s->wheel, node_at(s, s->order[i]));
}

/* ---- the bare list ------------------------------------------------------------------------- */

static void push_all(struct set *s, struct ouro_wheel_link *head)
{
    head->next = head->prev = head;
    for (size_t i = 0; i < s->live; i++) {
        struct ouro_wheel_link *link = &node_at(s, i)->link;

        link->next = head;
        link->prev = head->prev;
        head->prev->next = link;
        head->prev = link;
    }
}

static uint64_t list_pop(void *context, uint64_t operations)
{
    struct set *s = context;
    struct ouro_wheel_link head;

    for (uint64_t done = 0; done < operations; done += s->live) {
        push_all(s, &head);
        for (size_t i = 0; i < s->live; i++) {
            struct ouro_wheel_link *link = head.next;

            head.next = link->next;
            link->next->prev = &head;
            link->next = link->prev = NULL;
        }
    }
    return 0;
}

static uint64_t list_unlink(void *context, uint64_t operations)
{
    struct set *s = context;
    struct ouro_wheel_link head;

    for (uint64_t done = 0; done < operations; done += s->live) {
        push_all(s, &head);
        for (size_t i = 0; i < s->live; i++) {
            struct ouro_wheel_link *link = &node_at(s, s->order[i])->link;

            link->next->prev = link->prev;
            link->prev->next = link->next;
            link->next = link->prev = NULL;
        }
    }
    return 0;
}

/* ---- the wheel ----------------------------------------------------------------------------- */

static uint64_t insert_cancel(void *context, uint64_t operations)
{
    struct set *s = context;

    for (uint64_t done = 0; done < operations; done += s->live) {
        insert_all(s);
        cancel_all(s);
    }
    return 0;
}

static uint64_t insert_only(void *context, uint64_t operations)
{
    struct set *s = context;
    uint64_t start = bench_now_ns(), took;

    (void)operations;
    insert_all(s);
    took = bench_now_ns() - start;
    cancel_all(s);
    return took;
}

/* A random timer out and in again, the others staying: what a busy server does to its time-outs. */
static uint64_t replace(void *context, uint64_t operations)
{
    struct set *s = context;
    uint64_t start, took;

    insert_all(s);
    shuffle(s);
    start = bench_now_ns();
    for (uint64_t done = 0; done < operations; done += s->live)
        for (size_t i = 0; i < s->live; i++) {
            struct ouro_wheel_node *node = node_at(s, s->order[i]);

            wheel_cancel(&s->wheel, node);
            wheel_insert(&s->wheel, node, s->deadlines[i]);
        }
    took = bench_now_ns() - start;
    cancel_all(s);
    return took;
}

/* Lets the hour pass in steps. The longest round shows what moving a slot down can hold up. */
static uint64_t expire_all(void *context, uint64_t operations)
{
    struct set *s = context;
    uint64_t now, total = 0;

    (void)operations;
    shuffle(s);
    insert_all(s);
    for (now = s->wheel.now_ns; wheel_pending(&s->wheel);) {
        uint64_t start = bench_now_ns(), took;

        now += s->step_ns;
        while (wheel_expire(&s->wheel, now))
            ;
        took = bench_now_ns() - start;
        total += took;
        if (took > s->longest_ns)
            s->longest_ns = took;
    }
    return total;
}

static uint64_t idle_expire(void *context, uint64_t operations)
{
    struct set *s = context;
    uint64_t now = s->wheel.now_ns;

    for (uint64_t i = 0; i < operations; i++)
        if (wheel_expire(&s->wheel, now + i % 1000))
            return BENCH_FAILED;
    return 0;
}

static uint64_t next(void *context, uint64_t operations)
{
    struct set *s = context;

    for (uint64_t i = 0; i < operations; i++)
        bench_keep(wheel_next(&s->wheel));
    return 0;
}

/* ---- the runs ------------------------------------------------------------------------------ */

static void run_few(struct bench *bench, struct set *s)
{
    struct bench_subject subjects[] = {
        {"list-push-pop", list_pop, s, 10000 * FEW},
        {"list-push-unlink", list_unlink, s, 10000 * FEW},
        {"wheel-insert-cancel", insert_cancel, s, 10000 * FEW},
        {"wheel-replace", replace, s, 10000 * FEW},
    };

    s->live = FEW;
    shuffle(s);
    bench_compare(bench, "100-live", subjects, 4);
}

static void run_many(struct bench *bench, struct set *s)
{
    struct bench_subject subjects[] = {
        {"list-push-pop", list_pop, s, MANY},
        {"list-push-unlink", list_unlink, s, MANY},
        {"wheel-insert-cancel", insert_cancel, s, MANY},
        {"wheel-insert", insert_only, s, MANY},
        {"wheel-replace", replace, s, MANY},
    };

    s->live = MANY;
    shuffle(s);
    bench_compare(bench, "1000000-live", subjects, 5);
}

static void run_expiry(struct bench *bench, struct set *s, const char *parameter, uint64_t step_ns)
{
    struct bench_subject subject = {"wheel-expire", expire_all, s, MANY};

    s->live = MANY;
    s->step_ns = step_ns;
    s->longest_ns = 0;
    if (bench_compare(bench, parameter, &subject, 1) == 0)
        bench_value(bench, "wheel-expire", parameter, "longest_round", "us",
                    (double)s->longest_ns / 1e3);
}

static void run_idle(struct bench *bench, struct set *s)
{
    struct bench_subject subjects[] = {
        {"wheel-expire", idle_expire, s, 0},
        {"wheel-next", next, s, 0},
    };

    s->live = 1000;
    shuffle(s);
    for (size_t i = 0; i < s->live; i++)
        s->deadlines[i] += HOUR_NS;
    insert_all(s);
    bench_compare(bench, "nothing-due", subjects, 2);
    cancel_all(s);
}

int main(int argc, char **argv)
{
    static struct set s = {.seed = 1};
    struct bench bench;

    bench_init(&bench, "timer", argc, argv);
    s.memory =
        mmap(NULL, MANY * STRIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    s.order = calloc(MANY, sizeof *s.order);
    s.deadlines = calloc(MANY, sizeof *s.deadlines);
    if (s.memory == MAP_FAILED || !s.order || !s.deadlines) {
        fprintf(stderr, "bench-timer: out of memory\n");
        return 1;
    }
    madvise(s.memory, MANY * STRIDE, MADV_HUGEPAGE); /* as a shard's slabs are */
    memset(s.memory, 0, MANY * STRIDE);
    wheel_init(&s.wheel, bench_now_ns());
    run_few(&bench, &s);
    run_many(&bench, &s);
    run_expiry(&bench, &s, "10-ms-rounds", 10000000);
    run_expiry(&bench, &s, "1-hour-round", HOUR_NS + WHEEL_TICK_NS);
    run_idle(&bench, &s);
    munmap(s.memory, MANY * STRIDE);
    free(s.order);
    free(s.deadlines);
    return bench_finish(&bench);
}
