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

int mesh_init(struct mesh *m, unsigned n)
{
    int error = 0;

    *m = (struct mesh){.n = n};
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
    e->outbox = calloc(m->n, sizeof *e->outbox);
    if (e->outbox == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < m->n; i++)
        e->outbox[i].tail = &e->outbox[i].head;
    return 0;
}

void mesh_end_destroy(struct mesh_end *e)
{
    free(e->outbox);
    e->outbox = NULL;
}

static struct spsc *lane(struct mesh *m, unsigned from, unsigned to)
{
    return &m->lanes[(size_t)from * m->n + to];
}

void mesh_send(struct mesh_end *e, unsigned to, struct mesh_message *message)
{
    struct mesh_outbox *o = &e->outbox[to];

    e->dirty[to / 64] |= UINT64_C(1) << (to % 64);
    if (o->head == NULL && spsc_push(lane(e->mesh, e->self, to), message))
        return;
    e->lane_full++;
    message->out_next = NULL; /* [MESH-2], [MESH-3] */
    *o->tail = message;
    o->tail = &message->out_next;
}

/* The handshake's sender side: the caller has put the message in and fenced. True if it rang. */
static bool ring_bell(struct mesh_bell *b)
{
    uint64_t one = 1;

    if (load_relaxed(&b->asleep) == 0 || exchange_relaxed(&b->asleep, 0) == 0)
        return false;
    /* A counter that is full has been written before and still rings. */
    if (write(b->eventfd, &one, sizeof one) < 0)
        ensure(errno == EAGAIN, "cannot wake a shard: %s", strerror(errno));
    return true;
}

static void flush_one(struct mesh_end *e, unsigned to)
{
    struct mesh_outbox *o = &e->outbox[to];
    struct mesh_message *next;

    for (; o->head != NULL; o->head = next) {
        next = o->head->out_next; /* read first: once pushed it is the receiver's */
        if (!spsc_push(lane(e->mesh, e->self, to), o->head))
            return;
    }
    o->tail = &o->head;
    e->dirty[to / 64] &= ~(UINT64_C(1) << (to % 64));
}

void mesh_flush(struct mesh_end *e)
{
    unsigned words = (e->mesh->n + 63) / 64;

    for (unsigned w = 0; w < words; w++) {
        for (uint64_t bits = e->dirty[w]; bits != 0; bits &= bits - 1) {
            unsigned to = w * 64 + (unsigned)__builtin_ctzll(bits);

            flush_one(e, to);
            fence_seq_cst(); /* pairs with the fence in mesh_may_sleep() */
            e->rung += ring_bell(&e->mesh->bells[to]);
        }
    }
}

bool mesh_outbox_pending(const struct mesh_end *e)
{
    unsigned words = (e->mesh->n + 63) / 64;

    for (unsigned w = 0; w < words; w++)
        if (e->dirty[w] != 0)
            return true;
    return false;
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

    if (fetch_add_relaxed(&b->count, 1) >= INBOX_MESSAGES) { /* [MESH-4] */
        fetch_sub_relaxed(&b->count, 1);
        fetch_add_relaxed(&b->refused, 1);
        return -EAGAIN;
    }
    store_relaxed(&message->next, NULL);
    previous = exchange_acq_rel(&b->last, message); /* pairs with itself in other producers */
    store_release(&previous->next, message);        /* pairs with the acquire in inbox_pop() */
    fence_seq_cst();                                /* pairs with the fence in mesh_may_sleep() */
    ring_bell(&m->bells[to]);
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

unsigned mesh_receive(struct mesh_end *e, struct shard *shard)
{
    struct mesh *m = e->mesh;
    struct mesh_message *message;
    unsigned n = 0;

    /* At most one laneful and one inboxful a turn: nobody who sends can hold the shard. */
    for (unsigned from = 0; from < m->n; from++)
        for (unsigned i = 0; i < LANE_MESSAGES; i++, n++) {
            message = spsc_pop(lane(m, from, e->self));
            if (message == NULL)
                break;
            message->receive(shard, message);
        }
    for (unsigned i = 0; i < INBOX_MESSAGES; i++, n++) {
        message = inbox_pop(&m->inboxes[e->self]);
        if (message == NULL)
            break;
        message->receive(shard, message);
    }
    e->received += n;
    return n;
}

static bool anything(struct mesh_end *e)
{
    struct mesh *m = e->mesh;
    struct mesh_inbox *b = &m->inboxes[e->self];

    for (unsigned from = 0; from < m->n; from++)
        if (!spsc_empty(lane(m, from, e->self)))
            return true;
    return load_relaxed(&b->count) != 0;
}

bool mesh_may_sleep(struct mesh_end *e)
{
    store_relaxed(&e->mesh->bells[e->self].asleep, 1);
    fence_seq_cst(); /* pairs with the fences in mesh_flush() and mesh_post_remote() */
    if (!anything(e))
        return true;
    store_relaxed(&e->mesh->bells[e->self].asleep, 0);
    return false;
}

void mesh_awake(struct mesh_end *e)
{
    store_relaxed(&e->mesh->bells[e->self].asleep, 0);
}
