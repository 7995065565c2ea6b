/* SPDX-License-Identifier: MIT */
#include "buf/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_DONTFORK);
    return p;
}

static void release(void *p, size_t bytes)
{
    if (p == NULL)
        return;
    unpoison(p, bytes); /* whoever maps something there next may touch it */
    munmap(p, bytes);
}

static void unmap(struct pool *p)
{
    release(p->memory, (size_t)(p->max + p->spares) * p->bytes);
    release(p->buffer, (p->max + p->spares) * sizeof *p->buffer);
    release(p->br, p->entries * sizeof(struct io_uring_buf));
}

static void put_fresh(struct pool *p, uint32_t from, uint32_t to)
{
    p->live = to;
    for (uint32_t id = from; id < to; id++) {
        p->buffer[id].out = true;
        pool_put(p, id);
    }
}

int pool_init(struct pool *p, struct ring *r, const struct pool_options *o)
{
    int error;

    *p = (struct pool){.bytes = o->bytes,
                       .max = o->max,
                       .entries = o->max,
                       .spares = o->spares,
                       .spare_free = POOL_NONE,
                       .group = o->group};
    p->parked_tail = &p->parked;
    p->memory = reserve((size_t)(p->max + p->spares) * p->bytes);
    p->buffer = reserve((p->max + p->spares) * sizeof *p->buffer);
    p->br = reserve(p->entries * sizeof(struct io_uring_buf));
    error = p->memory == NULL || p->buffer == NULL || p->br == NULL
                ? -ENOMEM
                : ring_register_buffers(r, p->br, p->entries, p->group);
    if (error < 0) {
        unmap(p);
        memset(p, 0, sizeof *p);
        return error;
    }
    put_fresh(p, 0, o->start);
    pool_publish(p);
    return 0;
}

void pool_destroy(struct pool *p, struct ring *r)
{
    if (p->br == NULL)
        return;
    ring_unregister_buffers(r, p->group);
    unmap(p);
    memset(p, 0, sizeof *p);
}

bool pool_grow(struct pool *p)
{
    uint32_t to = p->live * 2 < p->max ? p->live * 2 : p->max;

    if (to == p->live)
        return false;
    put_fresh(p, p->live, to);
    p->grown++;
    return true;
}

uint32_t pool_spare_take(struct pool *p)
{
    uint32_t id = p->spare_free;

    if (id != POOL_NONE)
        p->spare_free = p->buffer[id].next;
    else if (p->spare_fresh < p->spares)
        id = p->max + p->spare_fresh++;
    else
        return POOL_NONE;
    p->buffer[id].out = true;
    poison(pool_address(p, id), p->bytes); /* one that is fresh was not yet */
    return id;
}

void pool_spare_taken(struct pool *p, uint32_t id, uint32_t len)
{
    p->buffer[id].len = len;
    p->buffer[id].next = POOL_NONE;
    unpoison(pool_address(p, id), p->bytes);
}

void pool_spare_put(struct pool *p, uint32_t id)
{
    p->buffer[id].out = false;
    poison(pool_address(p, id), p->bytes);
    p->buffer[id].next = p->spare_free;
    p->spare_free = id;
}
