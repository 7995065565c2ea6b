/* SPDX-License-Identifier: MIT */
/* Actors: how they wait, what they are made of, and how they end one another. */
#include "program.h"

struct program program;

size_t some_size(struct actor *a, size_t most)
{
    return 1 + random_next(&a->random) % (one_in(a, 4) ? most : most / 64 + 1);
}

bool cut_short(int error)
{
    return error == -ECANCELED || error == -ETIMEDOUT ||
           (program.fault.where == FAULT_OPERATION && error == program.fault.error);
}

/* --- waits ------------------------------------------------------------------------------------ */

static int cancel_and_await(struct ouro_future *f)
{
    ouro_cancel(f);
    return ouro_await(f);
}

static int await_beside_timer(struct ouro_future *f, uint64_t ns)
{
    OURO_TIMER(timer);
    struct ouro_future *both[] = {f, NULL, &timer.future};
    int i;

    (void)ouro_sleep_start(&timer, ns);
    i = ouro_await_any(both, 3, OURO_FOREVER);
    must(i == 0 || i == 2 || i == -ECANCELED);
    must(i < 0 || ouro_done(both[i]));
    return cancel_and_await(f);
}

static int await_with_all(struct ouro_future *f, uint64_t deadline)
{
    struct ouro_future *one[] = {f};
    int error = ouro_await_all(one, 1, deadline);

    must(error == 0 || error == -ETIMEDOUT || error == -ECANCELED);
    must(ouro_done(f));
    return ouro_result(f);
}

static int await_until_checked(struct ouro_future *f, uint64_t deadline)
{
    int result = ouro_await_until(f, deadline);

    must(ouro_done(f));
    must(result == ouro_result(f) || (result == -ETIMEDOUT && ouro_result(f) == -ECANCELED));
    return ouro_result(f);
}

int wait_some_way(struct actor *a, struct ouro_future *f)
{
    uint64_t soon = ouro_after_ns(below(a, 2000) * US);
    int result;

    switch (below(a, 9)) {
    case 0:
        result = await_until_checked(f, soon);
        break;
    case 1:
        result = await_until_checked(f, below(a, 2) == 0 ? 0 : ouro_now_ns());
        break;
    case 2:
        result = await_beside_timer(f, below(a, 500) * US);
        break;
    case 3:
        result = await_with_all(f, soon);
        break;
    case 4:
        for (unsigned n = below(a, 4); n != 0; n--)
            (void)ouro_yield();
        result = cancel_and_await(f);
        break;
    default:
        result = await_until_checked(f, ouro_after_ns(20 * MS));
    }
    must(ouro_done(f));
    must_be(ouro_await(f), result); /* once and for all */
    return result;
}

int wait_to_end(struct ouro_future *f)
{
    int result = ouro_await(f);

    must(ouro_done(f));
    must_be(result, ouro_result(f));
    if (result == -ECANCELED)
        must(ouro_cancelled());
    return result;
}

/* --- who there is ----------------------------------------------------------------------------- */

void actor_enter(struct actor *a, uint64_t random, unsigned steps, unsigned depth)
{
    struct world *w = here();

    a->random = random;
    a->steps = steps;
    a->depth = depth;
    a->next = w->actors;
    a->pprev = &w->actors;
    if (a->next != NULL)
        a->next->pprev = &a->next;
    w->actors = a;
}

void actor_leave(struct actor *a)
{
    *a->pprev = a->next;
    if (a->next != NULL)
        a->next->pprev = a->pprev;
}

static void step_cancel(struct actor *a)
{
    unsigned n = below(a, 16);

    if (!one_in(a, 4))
        return;
    for (struct actor *other = here()->actors; other != NULL; other = other->next) {
        if (n-- != 0 || other == a)
            continue;
        if (other->task != NULL)
            ouro_task_cancel(other->task);
        else if (other->fiber.id != 0)
            must_be(ouro_fiber_cancel(other->fiber), 0);
        (void)fetch_add_relaxed(&program.cancels, 1);
        return;
    }
}

static void step_shielded(struct actor *a)
{
    if (a->depth > 3)
        return;
    must_be(ouro_shield_enter(), 0);
    must(!ouro_cancelled());
    a->depth++;
    step_any(a);
    a->depth--;
    must_be(ouro_shield_leave(), 0);
}

static void step_yield(struct actor *a)
{
    int error = ouro_should_yield() || !one_in(a, 3) ? ouro_yield() : 0;

    must(error == 0 || (error == -ECANCELED && ouro_cancelled()));
}

static const struct step {
    const char *name;
    void (*take)(struct actor *);
    unsigned weight;
} steps[] = {
    {"link open", step_link_open, 6},
    {"link send", step_link_send, 20},
    {"link receive", step_link_recv, 14},
    {"link source", step_link_source, 8},
    {"link finish", step_link_finish, 3},
    {"link close", step_link_close, 3},
    {"visit", step_visit, 4},
    {"datagrams", step_datagrams, 3},
    {"file", step_file, 10},
    {"whole file", step_whole_file, 2},
    {"pipe", step_pipe, 3},
    {"poll", step_poll, 3},
    {"time", step_time, 4},
    {"raw", step_nop, 2},
    {"promise", step_promise, 4},
    {"remote", step_remote, 2},
    {"family", step_family, 4},
    {"cancel", step_cancel, 3},
    {"shielded", step_shielded, 3},
    {"yield", step_yield, 4},
};

void step_any(struct actor *a)
{
    unsigned sum = 0, at;
    size_t i;

    for (i = 0; i < array_size(steps); i++)
        sum += steps[i].weight;
    at = below(a, sum);
    for (i = 0; at >= steps[i].weight; i++)
        at -= steps[i].weight;
    store_relaxed(&a->doing, steps[i].name);
    (void)ouro_task_set_name(steps[i].name);
    steps[i].take(a);
    (void)fetch_add_relaxed(&program.steps, 1);
}

/* --- actors that are fibers ------------------------------------------------------------------- */

struct birth {
    uint64_t random;
    unsigned steps, depth;
    int value; /* what it returns */
    bool joinable;
    ouro_fiber *self; /* where the handle is by the time it runs */
};

static int actor_main(void *arg)
{
    struct birth *b = arg;
    struct actor a = {.fiber = *b->self};

    actor_enter(&a, b->random, b->steps, b->depth);
    while (a.steps != 0 && !(ouro_cancelled() && one_in(&a, 4))) {
        a.steps--;
        step_any(&a);
    }
    actor_leave(&a);
    return b->value;
}

static int birth(struct ouro_scope *scope, struct birth *b)
{
    struct ouro_spawn_options o = {.size = sizeof o,
                                   .name = "actor",
                                   .joinable = b->joinable,
                                   .must_run = !b->joinable,
                                   .stack_bytes = 256 * 1024};
    int error = ouro_spawn_with(scope, actor_main, b, sizeof *b, &o, b->self);

    must(error == 0 || error == -ECANCELED);
    return error;
}

/* --- families --------------------------------------------------------------------------------- */

#define CHILDREN 4

struct family_of {
    struct ouro_scope scope;
    ouro_fiber fiber[CHILDREN];
    struct birth birth[CHILDREN];
    void *stackless[CHILDREN];
    int first_error; /* that the scope must tell */
    unsigned failing;
};

static void child_spawn(struct actor *a, struct family_of *f, unsigned i)
{
    unsigned steps_of_it = 1 + below(a, a->steps / 2 + 4);
    struct birth *b = &f->birth[i];

    if (one_in(a, 3)) {
        f->stackless[i] = stackless_spawn(a, &f->scope, steps_of_it);
        return;
    }
    *b = (struct birth){.random = random_next(&a->random),
                        .steps = steps_of_it,
                        .depth = a->depth + 1,
                        .joinable = one_in(a, 3),
                        .self = &f->fiber[i]};
    b->value = b->joinable ? 1 + (int)below(a, 1000) : one_in(a, 4) ? -EIO : 0;
    if (birth(&f->scope, b) == 0)
        f->failing += b->value < 0;
    else
        f->fiber[i].id = 0;
}

static void child_join(struct actor *a, const struct family_of *f, unsigned i)
{
    struct ouro_join j;
    int result;

    if (ouro_join_start(&j, f->fiber[i]) != 0)
        must_fail(__FILE__, __LINE__, "a joinable child can be joined");
    result = wait_some_way(a, &j.op.future);
    if (!j.joined)
        must_explain(result, false);
    else if (j.how != OURO_END_ABORTED)
        must_be(result, f->birth[i].value);
    if (j.joined)
        must_be(ouro_fiber_cancel(f->fiber[i]), -ESRCH);
}

static void family_live(struct actor *a, struct family_of *f)
{
    for (unsigned i = below(a, CHILDREN + 1); i-- != 0;)
        child_spawn(a, f, i);
    if (one_in(a, 2))
        step_any(a);
    if (one_in(a, 5))
        ouro_scope_cancel(&f->scope);
    for (unsigned i = 0; i < CHILDREN; i++)
        if (f->fiber[i].id != 0 && f->birth[i].joinable && one_in(a, 2))
            child_join(a, f, i);
}

void step_family(struct actor *a)
{
    struct family_of f = {.failing = 0};
    int error;

    if (a->depth > 2)
        return;
    error = ouro_scope_enter(&f.scope, one_in(a, 3) ? OURO_SCOPE_FAIL_FAST : 0);
    if (error != 0) {
        must(error == -ECANCELED && ouro_cancelled());
        return;
    }
    a->depth++;
    family_live(a, &f);
    a->depth--;
    must_be(ouro_scope_leave(&f.scope), f.failing != 0 ? -EIO : 0);
    for (unsigned i = 0; i < CHILDREN; i++)
        free(f.stackless[i]);
}

void actors_run(uint64_t seed, unsigned n, unsigned steps_each)
{
    struct ouro_scope scope;
    ouro_fiber fiber[64];
    struct birth b = {.steps = steps_each};

    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < n && i < array_size(fiber); i++) {
        b.random = seed + i * UINT64_C(0x9e3779b97f4a7c15);
        b.self = &fiber[i];
        must_be(birth(&scope, &b), 0);
    }
    must_be(ouro_scope_leave(&scope), 0);
    must(here()->actors == NULL);
}
