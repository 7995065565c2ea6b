/* SPDX-License-Identifier: MIT */
/*
 * The shard's timer store: a hierarchical timing wheel (Varghese and Lauck, SOSP 1987, scheme 7).
 *
 * One thread owns a wheel. It allocates nothing and nothing in it can fail: a timer is a node in
 * its owner's memory, linked into a slot. Insert and cancel are O(1). The wheel reads no clock;
 * its time is what the caller hands to wheel_expire().
 *
 * The map. Time is cut into ticks of 2^16 ns (65.5 us). A slot of level L is 512^L ticks wide:
 *
 *     level   slots   one slot     reaches
 *       0      512     65.5 us     33.6 ms     every node here expires in the very tick of its slot
 *       1      512     33.6 ms     17.2 s
 *       2      512     17.2 s       2.4 h
 *       3      512      2.4 h      52   days
 *       4      512     52   days   73   years
 *       5        9     73   years  the end of the 64-bit clock (584 years) and, in slot 8, "never"
 *
 *                       tick
 *                        |  distance 1 .. 512, round the ring
 *     level L  [ ][ ][x][ ][x][x][ ] ...  one bit per slot; one summary bit per 64 slots
 *                        |
 *     insert --> slot of the lowest level that reaches the node's tick
 *     expire --> tick jumps to the start of the nearest occupied slot:
 *                level 0: the whole list moves to DUE in O(1);  level L: each node goes down
 *     DUE ---->  popped one by one by wheel_expire()
 *     LATE --->  inserted with a deadline already past; joins DUE when the next round begins
 *
 * The level follows from the distance, not from the digits in which deadline and now differ. So a
 * boundary of a high level is no event for near timers, and what one step moves down is bounded by
 * what expires within one slot: for timers nearer than 2.4 hours by those of 17.2 seconds.
 *
 * Invariants, all checked by wheel_check():
 *   [WHEEL-1] A node is idle (both links NULL) or on exactly one list, with symmetric links;
 *             `pending` is the number of nodes on lists.
 *   [WHEEL-2] A slot's bit is set if and only if its list is not empty; a summary bit if and only
 *             if its word is not zero. DUE and LATE have no bit.
 *   [WHEEL-3] A node on a slot of level L, with t its deadline in ticks, rounded up, has
 *             1 <= (t >> 9L) - (tick >> 9L) <= 512 and stands in slot (t >> 9L) mod 512.
 *             So the distance of a slot says when it starts, without reading a node.
 *   [WHEEL-4] A node on DUE or LATE has a deadline <= now_ns: nothing fires early.
 *   [WHEEL-5] tick <= now_ns in ticks; between rounds they are equal and DUE is empty: what
 *             remains on slots lies in the future, hence at most one tick late.
 * Shown by tests alone:
 *   [WHEEL-6] A move goes to a lower level. A node is moved at most five times.
 *   [WHEEL-7] A round ends: what is inserted during it with a deadline already past is not part
 *             of it. A timer that re-arms itself with delay 0 does not hold its shard.
 */
#ifndef SHARD_WHEEL_H
#define SHARD_WHEEL_H

#include <ouro/wheel_node.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_SHIFT 16 /* a tick is 65,536 ns */
#define WHEEL_TICK_NS    (UINT64_C(1) << WHEEL_TICK_SHIFT)
#define WHEEL_LEVEL_BITS 9
#define WHEEL_SLOTS      (1U << WHEEL_LEVEL_BITS)
#define WHEEL_LEVELS     6 /* 5 x 9 + 3 = 48 bits of ticks; ticks and their fraction make 64 */
#define WHEEL_WORDS      (WHEEL_SLOTS / 64)
#define WHEEL_NEVER      UINT64_MAX

/* The top level needs slots 0 to 8 only. LATE and DUE live in its unused places, so that a list's
 * index says all about it and emptying a list needs no case distinction. */
#define WHEEL_TOP_BASE ((WHEEL_LEVELS - 1) * WHEEL_SLOTS)
#define WHEEL_LATE     (WHEEL_TOP_BASE + 14)
#define WHEEL_DUE      (WHEEL_TOP_BASE + 15)
#define WHEEL_LISTS    (WHEEL_TOP_BASE + 16)

/*
 * One timer is a struct ouro_wheel_node in its owner's memory, which must stay where it is while
 * the timer is pending. All zeros is idle. It is idle again when wheel_expire() hands it out or
 * wheel_cancel() takes it. Its deadline_ns is as given to wheel_insert().
 */

/* About 41 KiB. Lists point back into it: it cannot be moved or copied after wheel_init(). */
struct wheel {
    uint64_t now_ns;  /* the latest time handed in */
    uint64_t tick;    /* slots up to here are done; lags behind now_ns only within a round */
    size_t pending;   /* nodes on lists */
    bool round_open;  /* wheel_expire() has not returned NULL since the round began */
    uint8_t words[8]; /* per level: bit i = occupied[level][i] != 0 */
    uint64_t occupied[WHEEL_LEVELS][WHEEL_WORDS];
    struct ouro_wheel_link lists[WHEEL_LISTS]; /* level * 512 + slot, then LATE and DUE */
};

/* Makes an empty wheel whose time is now_ns. There is nothing to destroy; who drops a wheel with
 * timers pending leaves their nodes linked to freed memory. */
void wheel_init(struct wheel *w, uint64_t now_ns);

/*
 * Arms the node. It is handed out by wheel_expire(w, now) as soon as now reaches the tick in which
 * the deadline lies or ends: never before deadline_ns, and with now less than one tick after it.
 * A deadline that is not after the wheel's time fires in the next round.
 * A node that is already pending in this wheel is moved to its new deadline.
 * WHEEL_NEVER, and every deadline in the clock's very last tick, stays pending until cancelled.
 */
void wheel_insert(struct wheel *w, struct ouro_wheel_node *node, uint64_t deadline_ns);

/* Disarms the node: true if it was pending, false if it was idle (never armed, expired, or
 * cancelled before). Allowed between two calls of wheel_expire() on any node. */
bool wheel_cancel(struct wheel *w, struct ouro_wheel_node *node);

/*
 * Moves time on to now_ns and hands out the next expired node, idle again, or NULL: the round is
 * over. Nodes come in the order of their ticks, in no stated order within a tick. Call it until it
 * returns NULL, with the same now_ns; a round may be broken off and goes on at the next call. A
 * now_ns before the wheel's time counts as the wheel's time. A new round begins with the first
 * call after NULL, or with a later now_ns.
 * Cost: O(1) per node and level passed, whatever the span of time; O(1) when nothing is due.
 */
struct ouro_wheel_node *wheel_expire(struct wheel *w, uint64_t now_ns);

/*
 * When to call wheel_expire() next: 0 if a node is due already, WHEEL_NEVER if none will ever be.
 * No node fires before the time returned. At that time a node fires or at least one is moved to a
 * lower level, so a timer alone causes at most one call per level: three for an hour, and none
 * but its own when it is inserted less than 33 ms ahead.
 */
uint64_t wheel_next(const struct wheel *w);

/* Calls fn for each pending node, in no stated order. fn may cancel that node and no other, and
 * must not insert. */
void wheel_for_each(struct wheel *w, void (*fn)(struct ouro_wheel_node *node, void *arg),
                    void *arg);

/* For tests: 0, or the number of the first invariant found broken. Walks everything. */
int wheel_check(const struct wheel *w);

static inline bool wheel_node_pending(const struct ouro_wheel_node *node)
{
    return node->link.next != NULL;
}

static inline size_t wheel_pending(const struct wheel *w)
{
    return w->pending;
}

#endif
