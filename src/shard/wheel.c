/* SPDX-License-Identifier: MIT */
#include "shard/wheel.h"

#include <assert.h>

static_assert(sizeof(struct ouro_wheel_node) <= 24, "a timer is embedded in every operation");
static_assert(offsetof(struct ouro_wheel_node, link) == 0, "node_of() is a cast");
static_assert(WHEEL_TICK_NS == OURO_TICK_NS, "the public header states the resolution");
static_assert(WHEEL_WORDS == 8, "a summary is one byte");

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static struct ouro_wheel_node *node_of(struct ouro_wheel_link *link)
{
    return (struct ouro_wheel_node *)link;
}

/* Rounded up: a deadline within a tick is reached for sure only when the tick is over. */
static uint64_t deadline_tick(uint64_t deadline_ns)
{
    return (deadline_ns >> WHEEL_TICK_SHIFT) + ((deadline_ns & (WHEEL_TICK_NS - 1)) != 0);
}

/* The lowest level that reaches `distance` >= 1 ticks: its highest bit / 9. The product is exact
 * for every bit up to 48 and saves a division. */
static unsigned level_of(uint64_t distance)
{
    return ((63U - (unsigned)__builtin_clzll(distance)) * 57U) >> 9;
}

static unsigned slot_of(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * WHEEL_LEVEL_BITS)) & (WHEEL_SLOTS - 1);
}

/* ---- lists: circular, the head is a link without a node ------------------------------------ */

static bool list_empty(const struct ouro_wheel_link *head)
{
    return head->next == head;
}

/* At the tail: the neighbour written to is the one inserted last, which is still in cache. */
static void list_append(struct ouro_wheel_link *head, struct ouro_wheel_link *link)
{
    struct ouro_wheel_link *tail = head->prev;

    link->next = head;
    link->prev = tail;
    tail->next = link;
    head->prev = link;
}

static void list_splice(struct ouro_wheel_link *to, struct ouro_wheel_link *from)
{
    struct ouro_wheel_link *first = from->next, *last = from->prev;

    if (first == from)
        return;
    first->prev = to->prev;
    to->prev->next = first;
    last->next = to;
    to->prev = last;
    from->next = from->prev = from;
}

/* ---- slots and their bits ------------------------------------------------------------------ */

static void bits_set(struct wheel *w, unsigned index)
{
    unsigned level = index >> WHEEL_LEVEL_BITS, word = (index / 64) % WHEEL_WORDS;

    w->occupied[level][word] |= UINT64_C(1) << (index % 64);
    w->words[level] |= (uint8_t)(1U << word);
}

/* Called for LATE and DUE as well, which have no bit: clearing it again is cheaper than asking. */
static void bits_clear(struct wheel *w, unsigned index)
{
    unsigned level = index >> WHEEL_LEVEL_BITS, word = (index / 64) % WHEEL_WORDS;

    w->occupied[level][word] &= ~(UINT64_C(1) << (index % 64));
    if (w->occupied[level][word] == 0)
        w->words[level] &= (uint8_t)(0xffU ^ (1U << word));
}

/* Links a node whose deadline is t, after the wheel's tick. */
static void slot_append(struct wheel *w, struct ouro_wheel_link *link, uint64_t t)
{
    unsigned level = level_of(t - w->tick);
    unsigned index = level * WHEEL_SLOTS + slot_of(t, level);

    if (list_empty(&w->lists[index]))
        bits_set(w, index);
    list_append(&w->lists[index], link);
}

/* How many slots ahead the level's next occupied one is, 1 to 512. The level is not empty. The
 * current slot comes last: its own nodes are done, so what it holds is one turn ahead [WHEEL-3]. */
static unsigned slot_distance(const struct wheel *w, unsigned level, unsigned current)
{
    unsigned from = (current + 1) % WHEEL_SLOTS, word = from / 64;
    uint64_t bits = w->occupied[level][word] & (~UINT64_C(0) << (from % 64));

    if (!bits) {
        unsigned twice = w->words[level] * 0x101U; /* the ring of words, laid out flat */

        word = (word + 1 + (unsigned)__builtin_ctz(twice >> (word + 1))) % WHEEL_WORDS;
        bits = w->occupied[level][word];
    }
    return ((word * 64 + (unsigned)__builtin_ctzll(bits) - from) % WHEEL_SLOTS) + 1;
}

/* The tick at which the nearest occupied slot of any level starts. */
static uint64_t next_tick(const struct wheel *w)
{
    uint64_t nearest = UINT64_MAX;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_LEVEL_BITS;
        uint64_t start;

        if (!w->words[level])
            continue;
        start = ((w->tick >> shift) + slot_distance(w, level, slot_of(w->tick, level))) << shift;
        if (start < nearest)
            nearest = start;
    }
    return nearest;
}

/* ---- moving on ----------------------------------------------------------------------------- */

/* Puts a node of a slot that starts now where it belongs; in this very tick it is due. */
static void move_down(struct wheel *w, struct ouro_wheel_link *link)
{
    uint64_t t = deadline_tick(node_of(link)->deadline_ns);

    if (UNLIKELY(t == w->tick))
        list_append(&w->lists[WHEEL_DUE], link);
    else
        slot_append(w, link, t);
}

/* Spreads a slot that starts now, and is not empty, over the levels below. Every node is a cache
 * miss and names the next: walked from both ends, two of them are under way at a time. */
static void cascade(struct wheel *w, unsigned index)
{
    struct ouro_wheel_link *head = &w->lists[index], *front = head->next, *back = head->prev;
    bool last;

    head->next = head->prev = head;
    bits_clear(w, index);
    do {
        struct ouro_wheel_link *after = front->next, *before = back->prev;

        __builtin_prefetch(after, 1);
        __builtin_prefetch(before, 1);
        last = front == back || after == back;
        move_down(w, front);
        if (front != back)
            move_down(w, back);
        front = after;
        back = before;
    } while (!last);
}

/* Does what is to be done at w->tick. From the top: what falls from one level to the next may
 * stand in a slot that starts at this tick too. */
static void enter_tick(struct wheel *w)
{
    unsigned slot = slot_of(w->tick, 0);

    if (slot == 0) {
        unsigned level = (unsigned)__builtin_ctzll(w->tick) / WHEEL_LEVEL_BITS;

        for (; level > 0; level--) {
            unsigned index = level * WHEEL_SLOTS + slot_of(w->tick, level);

            if (!list_empty(&w->lists[index]))
                cascade(w, index);
        }
    }
    if (!list_empty(&w->lists[slot])) {
        list_splice(&w->lists[WHEEL_DUE], &w->lists[slot]);
        bits_clear(w, slot);
    }
}

/* Goes from occupied slot to occupied slot until a node is due or the wheel's time is reached. */
static bool advance(struct wheel *w)
{
    uint64_t target = w->now_ns >> WHEEL_TICK_SHIFT;

    while (w->tick < target) {
        uint64_t next = next_tick(w);

        if (next > target) {
            w->tick = target;
            break;
        }
        w->tick = next;
        enter_tick(w);
        if (!list_empty(&w->lists[WHEEL_DUE]))
            return true;
    }
    return false;
}

static void begin_round(struct wheel *w, uint64_t now_ns)
{
    if (now_ns > w->now_ns)
        w->now_ns = now_ns;
    w->round_open = true;
    list_splice(&w->lists[WHEEL_DUE], &w->lists[WHEEL_LATE]);
}

/* ---- the interface ------------------------------------------------------------------------- */

void wheel_init(struct wheel *w, uint64_t now_ns)
{
    *w = (struct wheel){.now_ns = now_ns, .tick = now_ns >> WHEEL_TICK_SHIFT};
    for (unsigned i = 0; i < WHEEL_LISTS; i++)
        w->lists[i].next = w->lists[i].prev = &w->lists[i];
}

/* Apart, so that the common insert calls nothing and saves no registers: with a million timers the
 * store queue is what a shard waits for. */
static __attribute__((noinline)) void move(struct wheel *w, struct ouro_wheel_node *node,
                                           uint64_t deadline_ns)
{
    wheel_cancel(w, node);
    wheel_insert(w, node, deadline_ns);
}

void wheel_insert(struct wheel *w, struct ouro_wheel_node *node, uint64_t deadline_ns)
{
    if (UNLIKELY(node->link.next)) {
        move(w, node, deadline_ns);
        return;
    }
    node->deadline_ns = deadline_ns;
    w->pending++;
    if (LIKELY(deadline_ns > w->now_ns))
        slot_append(w, &node->link, deadline_tick(deadline_ns));
    else
        list_append(&w->lists[WHEEL_LATE], &node->link);
}

bool wheel_cancel(struct wheel *w, struct ouro_wheel_node *node)
{
    struct ouro_wheel_link *next = node->link.next, *prev = node->link.prev;

    if (!next)
        return false;
    next->prev = prev;
    prev->next = next;
    node->link.next = node->link.prev = NULL;
    w->pending--;
    if (next == prev) /* it was alone, so both are the list's head */
        bits_clear(w, (unsigned)(next - w->lists));
    return true;
}

struct ouro_wheel_node *wheel_expire(struct wheel *w, uint64_t now_ns)
{
    struct ouro_wheel_link *due = &w->lists[WHEEL_DUE], *link;

    if (now_ns > w->now_ns || !w->round_open)
        begin_round(w, now_ns);
    if (list_empty(due) && !advance(w)) {
        w->round_open = false;
        return NULL;
    }
    link = due->next;
    __builtin_prefetch(link->next, 1); /* the caller's work on this node hides the miss */
    due->next = link->next;
    link->next->prev = due;
    link->next = link->prev = NULL;
    w->pending--;
    return node_of(link);
}

uint64_t wheel_next(const struct wheel *w)
{
    uint64_t tick;

    if (!list_empty(&w->lists[WHEEL_DUE]) || !list_empty(&w->lists[WHEEL_LATE]))
        return 0;
    tick = next_tick(w);
    return tick > UINT64_MAX >> WHEEL_TICK_SHIFT ? WHEEL_NEVER : tick << WHEEL_TICK_SHIFT;
}

void wheel_for_each(struct wheel *w, void (*fn)(struct ouro_wheel_node *node, void *arg), void *arg)
{
    for (unsigned i = 0; i < WHEEL_LISTS; i++) {
        struct ouro_wheel_link *head = &w->lists[i], *next;

        for (struct ouro_wheel_link *link = head->next; link != head; link = next) {
            next = link->next;
            fn(node_of(link), arg);
        }
    }
}

/* ---- the invariants, executable ------------------------------------------------------------ */

static int check_node(const struct wheel *w, const struct ouro_wheel_link *link, unsigned index)
{
    uint64_t deadline_ns = ((const struct ouro_wheel_node *)link)->deadline_ns;
    uint64_t t = deadline_tick(deadline_ns), blocks;
    unsigned level = index >> WHEEL_LEVEL_BITS, shift = level * WHEEL_LEVEL_BITS;

    if (link->next->prev != link || link->prev->next != link)
        return 1; /* [WHEEL-1] */
    if (index == WHEEL_DUE || index == WHEEL_LATE)
        return deadline_ns <= w->now_ns ? 0 : 4; /* [WHEEL-4] */
    blocks = (t >> shift) - (w->tick >> shift);
    if (blocks < 1 || blocks > WHEEL_SLOTS || slot_of(t, level) != index % WHEEL_SLOTS)
        return 3; /* [WHEEL-3] */
    return 0;
}

static int check_bits(const struct wheel *w)
{
    for (unsigned i = 0; i < WHEEL_LEVELS * WHEEL_SLOTS; i++) {
        uint64_t bits = w->occupied[i >> WHEEL_LEVEL_BITS][(i / 64) % WHEEL_WORDS];
        bool set = bits >> (i % 64) & 1;
        bool summary = w->words[i >> WHEEL_LEVEL_BITS] >> ((i / 64) % WHEEL_WORDS) & 1;
        bool used = i < WHEEL_LATE && !list_empty(&w->lists[i]);

        if (set != used || summary != (bits != 0))
            return 2; /* [WHEEL-2] */
    }
    return 0;
}

int wheel_check(const struct wheel *w)
{
    uint64_t now_tick = w->now_ns >> WHEEL_TICK_SHIFT;
    size_t nodes = 0;

    for (unsigned i = 0; i < WHEEL_LISTS; i++) {
        const struct ouro_wheel_link *head = &w->lists[i];

        if (head->next->prev != head || head->prev->next != head)
            return 1;
        for (const struct ouro_wheel_link *link = head->next; link != head; link = link->next) {
            int broken = check_node(w, link, i);

            if (broken)
                return broken;
            if (++nodes > w->pending)
                return 1;
        }
    }
    if (nodes != w->pending)
        return 1;
    if (check_bits(w))
        return 2;
    if (w->tick > now_tick)
        return 5; /* [WHEEL-5] */
    if (!w->round_open && (w->tick != now_tick || !list_empty(&w->lists[WHEEL_DUE])))
        return 5;
    return 0;
}
