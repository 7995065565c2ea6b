/* SPDX-License-Identifier: MIT */
#include "ring/slots.h"

#include <errno.h>
#include <sys/mman.h>

int slots_init(struct slots *t, uint32_t direct, uint32_t ordinary, uint32_t shard)
{
    uint32_t count = direct + ordinary;
    void *p = mmap(NULL, count * sizeof(struct slot), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return -errno;
    *t = (struct slots){.slot = p,
                        .count = count,
                        .direct = direct,
                        .free_head = SLOT_NONE,
                        .fresh = direct,
                        .shard = shard};
    return 0;
}

void slots_destroy(struct slots *t)
{
    if (t->slot != NULL)
        munmap(t->slot, t->count * sizeof(struct slot));
    t->slot = NULL;
}

static struct slot *open_slot(struct slots *t, uint32_t i, int fd, enum slot_kind kind, bool direct)
{
    struct slot *s = &t->slot[i];

    if (s->id == 0) /* never used */
        s->id = handle_first(t->shard, i);
    check(s->kind == SLOT_FREE && s->inflight == 0); /* [SLOT-1] */
    s->drained = NULL;
    s->object = NULL;
    s->next = SLOT_NONE;
    s->fd = fd;
    s->kind = (uint8_t)kind;
    s->direct = direct;
    s->closing = false;
    s->messages = s->gso = s->local = s->nowait = false;
    t->open[kind]++;
    t->direct_open += direct;
    return s;
}

struct slot *slots_take_direct(struct slots *t, uint32_t entry, enum slot_kind kind)
{
    struct slot *s = &t->slot[entry];

    ensure(entry < t->direct, "the kernel handed out direct descriptor %u of %u", entry, t->direct);
    if (s->kind != SLOT_FREE) { /* [SLOT-3] */
        ensure(s->closing && s->inflight == 0, "direct descriptor %u was handed out while open",
               entry);
        slots_free(t, s->id);
    }
    return open_slot(t, entry, (int)entry, kind, true);
}

struct slot *slots_take(struct slots *t, int fd, enum slot_kind kind)
{
    uint32_t i = t->free_head;

    if (i != SLOT_NONE)
        t->free_head = t->slot[i].next;
    else if (t->fresh < t->count)
        i = t->fresh++;
    else {
        t->refused++;
        return NULL;
    }
    return open_slot(t, i, fd, kind, false);
}

void slots_free(struct slots *t, uint64_t id)
{
    uint32_t i = handle_slot(id);
    struct slot *s = &t->slot[i];

    if (s->id != id || s->kind == SLOT_FREE)
        return;              /* [SLOT-3] */
    check(s->inflight == 0); /* [SLOT-1] */
    t->open[s->kind]--;
    t->direct_open -= s->direct;
    s->kind = SLOT_FREE;
    s->id = handle_next(s->id);
    if (!s->direct) {
        s->next = t->free_head;
        t->free_head = i;
    }
}
