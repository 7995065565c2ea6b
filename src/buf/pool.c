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
    if (p != NULL)
        munmap(p, bytes);
}

static void unmap(struct pool *p)
{
    release(p->memory, (size_t)p->max * p->bytes);
    release(p->buffer, p->max * sizeof *p->buffer);
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

    *p = (struct pool){.bytes = o->bytes, .max = o->max, .entries = o->max, .group = o->group};
    p->parked_tail = &p->parked;
    p->memory = reserve((size_t)p->max * p->bytes);
    p->buffer = reserve(p->max * sizeof *p->buffer);
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
