/* SPDX-License-Identifier: MIT */
/* Random operations against a model that is too simple to be wrong: a table of deadlines. Whatever
 * is done, in and between rounds, the wheel hands out what the table says. The seed is printed;
 * TEST_SEED=n repeats one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "shard/wheel.h"

enum { NODES = 150, STEPS = 60000, RUNS = 4 };

enum place {
    IDLE,
    ARMED,
    LATE,  /* inserted with a past deadline: belongs to the next round */
    READY, /* was late when this round began */
};

static struct wheel wheel;
static struct ouro_wheel_node nodes[NODES];
static struct {
    enum place place;
    uint64_t fires; /* in ticks; 2^48: never */
} model[NODES];
static uint64_t seed, now, fired;
static uint64_t last_fired; /* the tick handed out last in this round */

static uint64_t random_below(uint64_t limit)
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return limit ? z % limit : z;
}

/* Every order of magnitude up to 2^bits is equally likely. */
static uint64_t random_span(unsigned bits)
{
    return random_below(UINT64_C(1) << random_below(bits + 1));
}

static uint64_t ticks_up(uint64_t ns)
{
    return ns / WHEEL_TICK_NS + (ns % WHEEL_TICK_NS != 0);
}

static uint64_t random_deadline(void)
{
    uint64_t span = random_span(63);

    switch (random_below(16)) {
    case 0:
        return WHEEL_NEVER - random_span(20);
    case 1:
        return now - (span < now ? span : now);
    case 2: /* on a tick's edge */
        span -= (now + span) % WHEEL_TICK_NS;
        return now + span;
    default:
        return now + (span < WHEEL_NEVER - now ? span : 0);
    }
}

static void insert(unsigned i)
{
    uint64_t deadline = random_deadline();

    wheel_insert(&wheel, &nodes[i], deadline);
    model[i].place = deadline <= now ? LATE : ARMED;
    model[i].fires = ticks_up(deadline);
}

static void cancel(unsigned i)
{
    assert_int_equal(wheel_cancel(&wheel, &nodes[i]), model[i].place != IDLE);
    model[i].place = IDLE;
}

static void random_change(void)
{
    unsigned i = (unsigned)random_below(NODES);

    if (random_below(3) == 0)
        cancel(i);
    else if (model[i].place == IDLE || random_below(4) == 0)
        insert(i);
}

/* What is armed and has fallen due; with LATE counted when a round has yet to begin. */
static unsigned model_due(bool count_late)
{
    unsigned due = 0;

    for (unsigned i = 0; i < NODES; i++)
        due += (model[i].place == ARMED && model[i].fires <= now / WHEEL_TICK_NS) ||
               (model[i].place == LATE && count_late) || model[i].place == READY;
    return due;
}

static uint64_t model_next(void)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < NODES; i++)
        if (model[i].place != IDLE && model[i].fires < next)
            next = model[i].fires;
    return next > UINT64_MAX / WHEEL_TICK_NS ? WHEEL_NEVER : next * WHEEL_TICK_NS;
}

static void begin_round(void)
{
    for (unsigned i = 0; i < NODES; i++)
        if (model[i].place == LATE)
            model[i].place = READY;
}

static void take(struct ouro_wheel_node *node)
{
    size_t i = (size_t)(node - nodes);

    assert_true(model[i].place == ARMED || model[i].place == READY);
    assert_false(wheel_node_pending(node));
    assert_true(node->deadline_ns <= now);
    if (model[i].place == ARMED) {
        assert_in_range(model[i].fires, last_fired, now / WHEEL_TICK_NS);
        last_fired = model[i].fires;
    }
    model[i].place = IDLE;
    fired++;
}

/* Time moves on and a round is run, sometimes only in part, with changes in between. */
static void run_round(void)
{
    uint64_t step = random_span(random_below(50) ? 40 : 58);
    struct ouro_wheel_node *node;

    if (step < UINT64_MAX - now)
        now += step;
    begin_round();
    last_fired = 0;
    while ((node = wheel_expire(&wheel, now))) {
        take(node);
        if (random_below(4) == 0)
            random_change();
        if (random_below(40) == 0)
            assert_int_equal(wheel_check(&wheel), 0);
        if (random_below(60) == 0 && now < UINT64_MAX) { /* broken off: a new one begins */
            now++;
            begin_round();
        }
    }
    assert_int_equal(model_due(false), 0); /* nothing was left out, nothing is late */
}

/* The wheel never sleeps past a node, and sleeps at all when nothing is due. */
static void compare_next(void)
{
    uint64_t next = wheel_next(&wheel), exact = model_next();

    if (model_due(true)) {
        assert_int_equal(next, 0);
        return;
    }
    assert_true(next <= exact);
    assert_true(next > now);
}

static void compare_count(void)
{
    size_t pending = 0;

    for (unsigned i = 0; i < NODES; i++) {
        pending += model[i].place != IDLE;
        assert_int_equal(wheel_node_pending(&nodes[i]), model[i].place != IDLE);
    }
    assert_int_equal(wheel_pending(&wheel), pending);
}

static void one_run(void)
{
    now = random_span(45);
    wheel_init(&wheel, now);
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i] = (struct ouro_wheel_node){0};
        model[i].place = IDLE;
    }
    fired = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        if (random_below(3))
            random_change();
        else
            run_round();
        compare_next();
        if (step % 16 == 0) {
            compare_count();
            assert_int_equal(wheel_check(&wheel), 0);
        }
    }
    assert_true(fired > STEPS / 100);
}

static void wheel_does_what_the_model_does(void **state)
{
    const char *given = getenv("TEST_SEED");
    struct timespec t;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &t);
    seed =
        given ? strtoull(given, NULL, 0) : (uint64_t)t.tv_sec * 1000000007U + (uint64_t)t.tv_nsec;
    for (unsigned run = 0; run < RUNS; run++) {
        printf("TEST_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        one_run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wheel_does_what_the_model_does)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
