/* SPDX-License-Identifier: MIT */
#include "shard/mesh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lanes come from the zero page until they are used: at 256 shards most never are. */
static void *zeroed(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void inbox_init(struct mesh_inbox *b)
{
    store_relaxed(&b->stub.next, NULL);
    b->first = &b->stub;
    store_relaxed(&b->last, &b->stub);
}

int mesh_init(struct mesh *m, unsigned n, uint32_t capacity)
{
    int error = 0;

    *m = (struct mesh){.n = n, .capacity = capacity};
    m->lanes = zeroed((size_t)n * n * sizeof *m->lanes);
    m->bells = zeroed(n * sizeof *m->bells);
    m->inboxes = zeroed(n * sizeof *m->inboxes);
    if (m->lanes == NULL || m->bells == NULL || m->inboxes == NULL)
        error = -ENOMEM;
    for (unsigned i = 0; m->bells != NULL && i < n; i++)
        m->bells[i].eventfd = -1;
    for (unsigned i = 0; error == 0 && i < n; i++) {
        inbox_init(&m->inboxes[i]);
        m->bells[i].eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (m->bells[i].eventfd < 0)
            error = -errno;
    }
    if (error != 0)
        mesh_destroy(m);
    return error;
}

void mesh_destroy(struct mesh *m)
{
    for (unsigned i = 0; m->bells != NULL && i < m->n; i++)
        if (m->bells[i].eventfd >= 0)
            close(m->bells[i].eventfd);
    if (m->lanes != NULL)
        munmap(m->lanes, (size_t)m->n * m->n * sizeof *m->lanes);
    if (m->bells != NULL)
        munmap(m->bells, m->n * sizeof *m->bells);
    if (m->inboxes != NULL)
        munmap(m->inboxes, m->n * sizeof *m->inboxes);
    memset(m, 0, sizeof *m);
}

int mesh_end_init(struct mesh_end *e, struct mesh *m, unsigned self)
{
    memset(e, 0, sizeof *e);
    e->mesh = m;
    e->self = self;
    e->out = calloc(m->n, sizeof *e->out);
    e->taken = calloc(m->n, sizeof *e->taken);
    e->outbox = calloc(m->n, sizeof *e->outbox);
    if (e->out == NULL || e->taken == NULL || e->outbox == NULL) {
        mesh_end_destroy(e);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < m->n; i++) {
        e->out[i] =
            (struct lane_end){.lane = &m->lanes[(size_t)i * m->n + self], .capacity = m->capacity};
        e->outbox[i].tail = &e->outbox[i].head;
    }
    return 0;
}

void mesh_end_destroy(struct mesh_end *e)
{
    free(e->out);
    free(e->taken);
    free(e->outbox);
    e->out = NULL;
    e->taken = NULL;
    e->outbox = NULL;
}

/* --- sending --------------------------------------------------------------------------------- */

/* What stays in its sender's memory is named by its cell. */
static void receive_message(struct shard *shard, struct lane_cell *cell)
{
    struct mesh_message *message = cell->message;

    message->receive(shard, message);
}

static bool into_lane(struct mesh_end *e, unsigned to, struct mesh_message *message)
{
    struct lane_cell *cell = lane_room(&e->out[to]);

    if (cell == NULL)
        return false;
    cell->receive = receive_message;
    cell->message = message;
    lane_filled(&e->out[to], cell);
    return true;
}

void mesh_send(struct mesh_end *e, unsigned to, struct mesh_message *message)
{
    struct mesh_outbox *o = &e->outbox[to];

    e->dirty[to / 64] |= UINT64_C(1) << (to % 64);
    if (o->head == NULL && into_lane(e, to, message))
        return;
    e->lane_full++;
    message->out_next = NULL; /* [MESH-2], [MESH-3] */
    *o->tail = message;
    o->tail = &message->out_next;
}

static void ring_eventfd(const struct mesh_bell *b)
{
    uint64_t one = 1;

    /* A counter that is full has been written before and still rings. */
    if (write(b->eventfd, &one, sizeof one) < 0)
        ensure(errno == EAGAIN, "cannot wake a shard: %s", strerror(errno));
}

/* The handshake's second half, after a seq_cst write of what the shard is to see. True: it sleeps,
 * and it is the caller's to wake it. */
static bool sleeps(struct mesh_bell *b)
{
    return load_seq_cst(&b->asleep) != 0 && exchange_relaxed(&b->asleep, 0) != 0;
}

static void ring_bell(struct mesh_end *e, struct shard *shard, unsigned to)
{
    struct mesh_bell *b = &e->mesh->bells[to];

    if (!sleeps(b))
        return;
    e->rung++;
    if (e->mesh->wake == WAKE_EVENTFD || e->by_eventfd || !mesh_ring_message(shard, to, b->ring_fd))
        ring_eventfd(b);
}

void mesh_ring_again(struct mesh_end *e, unsigned to)
{
    ring_eventfd(&e->mesh->bells[to]);
}

/* Moves the outbox into the lane. False: it does not fit. */
static bool move_outbox(struct mesh_end *e, unsigned to)
{
    struct mesh_outbox *o = &e->outbox[to];
    struct mesh_message *next;

    for (; o->head != NULL; o->head = next) {
        next = o->head->out_next; /* read first: once handed over it is the receiver's */
        if (!into_lane(e, to, o->head))
            return false;
    }
    o->tail = &o->head;
    return true;
}

static void flush_one(struct mesh_end *e, struct shard *shard, unsigned to)
{
    bool all = move_outbox(e, to);

    if (!all) {
        store_relaxed(&e->out[to].lane->wants_room, 1);
        fence_seq_cst(); /* pairs with the fence in offer_room() */
        all = move_outbox(e, to);
    }
    lane_publish(&e->out[to]);
    if (all)
        e->dirty[to / 64] &= ~(UINT64_C(1) << (to % 64));
    ring_bell(e, shard, to);
}

void mesh_flush(struct mesh_end *e, struct shard *shard)
{
    unsigned words = (e->mesh->n + 63) / 64;

    for (unsigned w = 0; w < words; w++)
        for (uint64_t bits = e->dirty[w]; bits != 0; bits &= bits - 1)
            flush_one(e, shard, w * 64 + (unsigned)__builtin_ctzll(bits));
}

bool mesh_outbox_full(const struct mesh_end *e)
{
    for (unsigned to = 0; to < e->mesh->n; to++)
        if (e->outbox[to].head != NULL)
            return true;
    return false;
}

int mesh_post_remote(struct mesh *m, unsigned to, struct mesh_message *message)
{
    struct mesh_inbox *b = &m->inboxes[to];
    struct mesh_message *previous;

    if (fetch_add_seq_cst(&b->count, 1) >=
        INBOX_MESSAGES) { /* [MESH-4]; pairs with mesh_may_sleep() */
        fetch_sub_relaxed(&b->count, 1);
        fetch_add_relaxed(&b->refused, 1);
        return -EAGAIN;
    }
    store_relaxed(&message->next, NULL);
    previous = exchange_acq_rel(&b->last, message); /* pairs with itself in other producers */
    store_release(&previous->next, message);        /* pairs with the acquire in inbox_pop() */
    if (sleeps(&m->bells[to]))
        ring_eventfd(&m->bells[to]);
    return 0;
}

/* NULL: empty, or a producer stands between its exchange and its link; it rings afterwards. */
static struct mesh_message *inbox_pop(struct mesh_inbox *b)
{
    struct mesh_message *first = b->first;
    struct mesh_message *next = load_acquire(&first->next); /* pairs with mesh_post_remote() */

    if (first == &b->stub) {
        if (next == NULL)
            return NULL;
        b->first = first = next;
        next = load_acquire(&first->next); /* pairs with mesh_post_remote() */
    }
    if (next == NULL) {
        struct mesh_message *previous;

        if (load_acquire(&b->last) != first) /* pairs with the exchange in mesh_post_remote() */
            return NULL;
        store_relaxed(&b->stub.next, NULL);
        previous = exchange_acq_rel(&b->last, &b->stub); /* pairs with mesh_post_remote() */
        store_release(&previous->next, &b->stub);        /* pairs with the acquire above */
        next = load_acquire(&first->next);               /* pairs with mesh_post_remote() */
        if (next == NULL)
            return NULL;
    }
    check(load_relaxed(&b->count) != 0); /* [MESH-4]: what is in it was counted before */
    b->first = next;
    fetch_sub_relaxed(&b->count, 1);
    return first;
}

struct mesh_message *mesh_inbox_leftover(struct mesh *m, unsigned of)
{
    return inbox_pop(&m->inboxes[of]);
}

/* --- receiving ------------------------------------------------------------------------------- */

/* Half a lane or more was taken: its sender may be asleep before it. */
static void offer_room(struct mesh_end *e, struct shard *shard, struct lane *l, unsigned from)
{
    fence_seq_cst(); /* pairs with the fence in flush_one() */
    if (load_relaxed(&l->wants_room) == 0)
        return;
    store_seq_cst(&l->wants_room, 0); /* pairs with the look in mesh_may_sleep() */
    ring_bell(e, shard, from);
}

/* At most one laneful a visit: nobody who sends can hold the shard. */
static unsigned visit(struct mesh_end *e, struct shard *shard, unsigned from)
{
    struct lane *l = &e->mesh->lanes[(size_t)e->self * e->mesh->n + from];
    uint32_t at = e->taken[from], first = at;
    struct lane_cell *cell;

    while ((cell = lane_first(l, at)) != NULL && at - first < LANE_MESSAGES) {
        __builtin_prefetch(&l->cell[(at + 1) % LANE_MESSAGES]);
        cell->receive(shard, cell);
        if ((++at - first) % MESH_BATCH == 0)
            lane_passed(l, at);
    }
    if (at == first)
        return 0;
    e->taken[from] = at;
    lane_passed(l, at);
    if (2 * (at - first) >= e->mesh->capacity)
        offer_room(e, shard, l, from);
    return at - first;
}

unsigned mesh_receive(struct mesh_end *e, struct shard *shard)
{
    struct mesh_inbox *inbox = &e->mesh->inboxes[e->self];
    struct mesh_message *message;
    unsigned n = 0;

    for (unsigned from = 0; from < e->mesh->n; from++)
        n += visit(e, shard, from);
    if (load_relaxed(&inbox->count) != 0)
        for (unsigned i = 0; i < INBOX_MESSAGES && (message = inbox_pop(inbox)) != NULL; i++, n++)
            message->receive(shard, message);
    e->received += n;
    return n;
}

bool mesh_room(const struct mesh_end *e)
{
    unsigned words = (e->mesh->n + 63) / 64;

    for (unsigned w = 0; w < words; w++)
        for (uint64_t bits = e->dirty[w]; bits != 0; bits &= bits - 1)
            if (load_seq_cst(&e->out[w * 64 + (unsigned)__builtin_ctzll(bits)].lane->wants_room) ==
                0)
                return true;
    return false;
}

static bool anything(const struct mesh_end *e)
{
    const struct mesh *m = e->mesh;

    for (unsigned from = 0; from < m->n; from++)
        if (lane_first(&m->lanes[(size_t)e->self * m->n + from], e->taken[from]) != NULL)
            return true;
    return mesh_room(e) || load_seq_cst(&m->inboxes[e->self].count) != 0;
}

bool mesh_may_sleep(struct mesh_end *e)
{
    /* Pairs with lane_publish(), offer_room() and mesh_post_remote(); what is read next was read
     * after it. */
    store_seq_cst(&e->mesh->bells[e->self].asleep, 1);
    if (!anything(e))
        return true;
    store_relaxed(&e->mesh->bells[e->self].asleep, 0);
    return false;
}

void mesh_awake(struct mesh_end *e)
{
    store_relaxed(&e->mesh->bells[e->self].asleep, 0);
}
