/* SPDX-License-Identifier: MIT */
/* Steps that need nobody's objects: pipes, readiness, time, promises, other shards, raw operations.
 */
#include "program.h"

#include <linux/io_uring.h>
#include <sys/eventfd.h>

/* --- pipes ------------------------------------------------------------------------------------ */

struct pipe_end {
    ouro_file file;
    uint64_t seed, sent, flying;
    uint64_t random;
    unsigned bursts;
};

static int pipe_write(void *arg)
{
    struct pipe_end *p = *(struct pipe_end **)arg;
    struct actor a = {.random = p->random};
    struct ouro_full w;
    char *buf = malloc(70000);
    int n = 0;

    must(buf != NULL);
    while (n >= 0 && p->bursts-- != 0) {
        p->flying = some_size(&a, 70000);
        pattern_fill(buf, p->flying, p->seed, p->sent);
        ouro_write_full_start(&w, p->file, buf, p->flying, OURO_STREAM);
        n = one_in(&a, 3) ? wait_some_way(&a, &w.op.future) : wait_to_end(&w.op.future);
        must_explain(n, false);
        p->sent += n < 0 ? w.done : (size_t)n;
        p->flying = 0;
    }
    must_be(ouro_file_close(p->file), 0);
    free(buf);
    return 0;
}

static void pipe_read(struct actor *a, ouro_file file, struct pipe_end *p)
{
    uint64_t got = 0;
    struct ouro_rw r;
    char buf[5000];
    int n;

    for (;;) {
        ouro_read_start(&r, file, buf, 1 + below(a, sizeof buf), OURO_STREAM);
        n = wait_some_way(a, &r.op.future);
        must_explain(n, false);
        if (n == 0 || (n < 0 && ouro_cancelled()))
            break;
        if (n < 0)
            continue;
        must(got + (size_t)n <= p->sent + p->flying);
        pattern_check(buf, (size_t)n, p->seed, got);
        got += (size_t)n;
    }
    if (n == 0)
        must_be(got, p->sent + p->flying); /* its task may not have been told yet */
}

void step_pipe(struct actor *a)
{
    struct pipe_end p = {.seed = random_next(&a->random),
                         .random = random_next(&a->random),
                         .bursts = below(a, 6)},
                    *arg = &p;
    struct ouro_scope scope;
    ouro_file ends[2];

    must_be(ouro_pipe(ends), 0);
    p.file = ends[1];
    if (ouro_scope_enter(&scope, 0) == 0) {
        if (ouro_spawn(&scope, pipe_write, &arg, sizeof arg) == 0)
            pipe_read(a, ends[0], &p);
        else
            must_be(ouro_file_close(ends[1]), 0);
        ouro_scope_cancel(&scope);
        must_be(ouro_scope_leave(&scope), 0);
    } else {
        must_be(ouro_file_close(ends[1]), 0);
    }
    must_be(ouro_file_close(ends[0]), 0);
}

/* --- readiness -------------------------------------------------------------------------------- */

static void poll_by_source(struct actor *a, int fd)
{
    OURO_POLL_SOURCE(source);
    uint64_t one = 1;
    int mask, error;

    error = ouro_poll_source_open(&source, fd, POLLIN, one_in(a, 2) ? OURO_POLL_EDGE : 0);
    must_explain(error, false);
    for (unsigned rounds = error == 0 ? below(a, 4) : 0; rounds != 0; rounds--) {
        if (one_in(a, 3))
            must(ouro_poll_source_update(&source, POLLIN) == 0 || cut_short(source.end));
        must_be(write(fd, &one, sizeof one), sizeof one);
        (void)ouro_await_until(&source.ready, ouro_after_ns(5 * MS));
        mask = ouro_poll_take(&source);
        must(mask < 0 ? mask == -EAGAIN || cut_short(mask) : mask == POLLIN);
        if (mask > 0)
            must_be(read(fd, &one, sizeof one), sizeof one);
        one = 1;
    }
}

void step_poll(struct actor *a)
{
    int fd = eventfd(one_in(a, 2), EFD_NONBLOCK | EFD_CLOEXEC), n;
    struct ouro_poll p;

    must(fd >= 0);
    if (one_in(a, 2)) {
        poll_by_source(a, fd);
    } else {
        ouro_poll_start(&p, fd, POLLIN);
        n = wait_some_way(a, &p.op.future);
        must_explain(n, false);
        must(n <= 0 || n == POLLIN);
    }
    close(fd);
}

/* --- time ------------------------------------------------------------------------------------- */

static void many_timers(struct actor *a)
{
    struct ouro_timer timer[6] = {0};
    uint64_t deadline[6];
    bool stopped[6];

    for (unsigned i = 0; i < 6; i++) {
        deadline[i] = one_in(a, 5) ? 0 : ouro_after_ns(below(a, 3000) * US);
        (void)ouro_timer_start(&timer[i], deadline[i]);
    }
    (void)ouro_yield();
    for (unsigned i = 0; i < 6; i++) {
        stopped[i] = one_in(a, 3);
        if (stopped[i])
            ouro_timer_cancel(&timer[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        int result = ouro_await(&timer[i].future);

        must(result == 0 || (result == -ECANCELED && (stopped[i] || ouro_cancelled())));
        if (result == 0)
            must(ouro_now_precise_ns() >= deadline[i]);
    }
}

void step_time(struct actor *a)
{
    uint64_t ns = below(a, 3000) * US, began = ouro_now_precise_ns();
    struct ouro_interval i;
    int error;

    switch (below(a, 3)) {
    case 0:
        error = ouro_sleep(ns);
        must(error == 0 || (error == -ECANCELED && ouro_cancelled()));
        must(error != 0 || ouro_now_precise_ns() >= began + ns);
        break;
    case 1:
        must_be(ouro_interval_init(&i, 2 * MS + ns), 0);
        for (unsigned n = 0; n < 2; n++)
            error = ouro_interval_tick(&i);
        must(error == -ECANCELED || ouro_now_precise_ns() >= began + 2 * (2 * MS + ns));
        break;
    default:
        many_timers(a);
    }
}

void step_nop(struct actor *a)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .flags = one_in(a, 2) ? IOSQE_ASYNC : 0};
    struct ouro_op_raw r;
    int result;

    ouro_op_raw_start(&r, &sqe);
    result = wait_some_way(a, &r.op.future);
    must_explain(result, false);
    must(result <= 0 && r.op.pprev == NULL);
}

/* --- promises --------------------------------------------------------------------------------- */

/* Several that want to complete one promise, from wherever: one does. */
struct race {
    struct ouro_promise promise;
    _Atomic int value; /* the winner's */
    _Atomic unsigned winners, calls;
};

struct runner {
    struct race *race;
    int value;
};

static int run_race(void *arg)
{
    struct runner *r = arg;
    int error = ouro_promise_complete_remote(&r->race->promise, r->value);

    must(error == 0 || error == -EALREADY);
    if (error == 0) {
        store_relaxed(&r->race->value, r->value);
        (void)fetch_add_relaxed(&r->race->winners, 1);
    }
    (void)fetch_add_acq_rel(&r->race->calls, 1); /* with the load in promise_race() */
    return 0;
}

struct hope {
    struct race *race;
    uint64_t deadline;
    int *result;
};

static int hope_main(void *arg)
{
    struct hope *h = arg;

    *h->result = ouro_promise_await_until(&h->race->promise, h->deadline);
    return 0;
}

static void promise_race(struct actor *a, struct race *r)
{
    struct runner runner[3];
    unsigned n = 1 + below(a, 3);

    for (unsigned i = 0; i < n; i++) {
        runner[i] = (struct runner){r, (int)below(a, 100000)};
        must_be(ouro_spawn_remote(below(a, program.shards), run_race, &runner[i], "runner"), 0);
    }
    must_be(ouro_shield_enter(), 0);
    until(load_acquire(&r->calls) == n); /* with run_race() */
    must_be(ouro_promise_await(&r->promise), load_relaxed(&r->value));
    must_be(load_relaxed(&r->winners), 1);
    must_be(ouro_shield_leave(), 0);
}

void step_promise(struct actor *a)
{
    struct race r = {.value = 0};
    int result[4], expected = -EOWNERDEAD;
    unsigned n = below(a, 5);
    struct ouro_scope scope;

    if (ouro_scope_enter(&scope, 0) != 0)
        return;
    must_be(ouro_promise_init(&r.promise), 0);
    for (unsigned i = 0; i < n; i++) {
        struct hope h = {&r, one_in(a, 2) ? OURO_FOREVER : ouro_after_ns(below(a, 900) * US),
                         &result[i]};

        result[i] = -ECANCELED;
        if (ouro_spawn(&scope, hope_main, &h, sizeof h) != 0)
            must(ouro_cancelled());
    }
    if (one_in(a, 2))
        (void)ouro_sleep(below(a, 500) * US);
    if (one_in(a, 4)) {
        must_be(ouro_promise_drop(&r.promise), 0);
    } else if (one_in(a, 2)) {
        expected = (int)below(a, 1000);
        must_be(ouro_promise_complete(&r.promise, expected), 0);
        must_be(ouro_promise_complete(&r.promise, 1), -EALREADY);
    } else {
        promise_race(a, &r);
        expected = load_relaxed(&r.value);
    }
    must_be(ouro_scope_leave(&scope), 0);
    for (unsigned i = 0; i < n; i++)
        must(result[i] == expected || cut_short(result[i]) ||
             (result[i] == -EINVAL && expected == -EOWNERDEAD)); /* came after the drop */
    must_be(ouro_promise_drop(&r.promise), 0);
}

/* --- other shards ----------------------------------------------------------------------------- */

static int count_here(void *arg)
{
    _Atomic unsigned *n = arg;

    (void)ouro_yield();
    (void)fetch_add_acq_rel(n, 1); /* with the load in step_remote() */
    return (int)ouro_current_shard() + 1;
}

void step_remote(struct actor *a)
{
    struct ouro_each_result each[SHARDS];
    _Atomic unsigned n = 0;
    int error;

    if (one_in(a, 2)) {
        must_be(ouro_spawn_remote(below(a, program.shards), count_here, (void *)&n, "count"), 0);
        must_be(ouro_shield_enter(), 0);
        until(load_acquire(&n) == 1); /* with count_here() */
        must_be(ouro_shield_leave(), 0);
        return;
    }
    error = ouro_on_each_shard(count_here, (void *)&n, "count", each);
    must_explain(error, false);
    must(load_acquire(&n) <= program.shards); /* with count_here() */
    for (unsigned i = 0; error == 0 && i < program.shards; i++)
        must_be(each[i].value, i + 1);
}
