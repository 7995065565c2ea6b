/* SPDX-License-Identifier: MIT */
/*
 * Stacks for fibers: a pool per shard and stack size, carved from large mappings.
 *
 *   slab (one mmap; addresses grow to the right)
 *   ┌────────┬───────┬─────────────┬───────┬─────────────┬───────┬─────────────┐
 *   │ header │ guard │    area     │ guard │    area     │ guard │    area     │ ...
 *   └────────┴───────┴─────────────┴───────┴─────────────┴───────┴─────────────┘
 *    1 page            ^limit    ^top                   ^ stacks grow to the left
 *            '------ stride -------'
 *
 *   area    stack_bytes + one page; the page is what colouring may use up
 *   top     end of the area − colour × 64 bytes, colour = index in the slab mod 16
 *   stride  guard + area, in pages an odd number (one page is added if need be)
 *
 * Why so: one fiber costs one page, if its control block and a short chain of frames fit into
 * the top page. If all tops had the same offset in their pages, they would compete for the few
 * cache lines of the same set; an even stride would do the same to the next cache. The sum of a
 * top page, with the largest colour:  4096 − 15 × 64 = 3136 bytes  ≥  256 control block + 2048
 * buffer + 832 frames. Sixteen colours are the knee: of 1,024 fibers visited at random, a visit
 * of three lines takes 9.7 ns without colours, 3.1 with 8, 1.4 with 16, 1.1 with 64.
 *
 * Invariants:
 *   [STACK-1] top is a multiple of 64 and top − limit ≥ stack_bytes.
 *   [STACK-2] the stride is an odd number of pages, hence no power of two.
 *   [STACK-3] below each limit lie at least 64 KiB that no stack uses. Touching them is a fault,
 *             unless the stack is one of counters.unguarded.
 *   [STACK-4] live + warm + cold = carved ≤ max_stacks.
 *   [STACK-5] a cold stack holds at most keep_pages pages; at most warm_max stacks (64 MiB of
 *             address space, or one stack) are warm, which means that nobody looked yet.
 * Shown by tests alone:
 *   [STACK-6] in a pool that tracks, every byte of [limit, top) of a free stack is zero except
 *             the link, which is the word below top.
 *   [STACK-7] pages of a pool are neither executable, nor inherited by fork(), nor huge.
 *
 * A pool belongs to one thread, like its shard; no function here may be called from another.
 * Slabs are unmapped by stack_pool_destroy() alone.
 */
#ifndef OURO_SHARD_STACK_H
#define OURO_SHARD_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/check.h"
#include "context_annotate.h"

#define STACK_BYTES_DEFAULT ((size_t)64 << 10)
#define STACK_BYTES_MIN     ((size_t)16 << 10)
#define STACK_BYTES_MAX     ((size_t)64 << 20)
#define STACK_GUARD_BYTES   ((size_t)64 << 10)
#define STACK_COLOURS       16
#define STACK_COLOUR_BYTES  64
#define STACK_MAX_DEFAULT   ((size_t)1 << 20)
#define STACK_MAX_LIMIT     ((size_t)1 << 32)

/* How the guards of a pool are made. */
enum stack_guard {
    STACK_GUARD_AUTO,     /* MADV_GUARD_INSTALL (Linux 6.13) where granted, else mprotect */
    STACK_GUARD_MPROTECT, /* two mappings per stack, within guard_limit */
    STACK_GUARD_NONE,
};

/* Zero means the default. */
struct stack_pool_options {
    size_t stack_bytes;     /* 64 KiB; 16 KiB … 64 MiB, rounded up to pages */
    size_t stacks_per_slab; /* as many as fit into 32 MiB, at least one; at most 65536 */
    size_t max_stacks;      /* 1,048,576; at most 2^32 */
    size_t keep_pages;      /* 4: what a free stack may keep of the pages it touched; always 1 in a
                               pool that tracks */
    size_t guard_limit;     /* mprotect guards in the process: a quarter of vm.max_map_count, since
                               each costs two mappings and half of them are left to others */
    enum stack_guard guard;
    bool track_high_water;   /* measure each stack when it is freed; see stack_high_water() */
    const char *size_option; /* "options.stack_bytes": what an overflow report tells to raise;
                                must outlive the pool */
};

struct stack_counters {
    size_t live;      /* allocated now */
    size_t peak;      /* the most that ever were */
    size_t carved;    /* ever made */
    size_t slabs;     /* mappings */
    size_t unguarded; /* made without a guard: beyond guard_limit, or refused by the kernel */
    size_t deepest;   /* bytes; the deepest stack freed so far. Pools that track only */
};

struct stack_slab;

struct stack_pool {
    /* constant after init */
    size_t stack_bytes;
    size_t area_bytes;
    size_t guard_bytes;
    size_t stride_bytes;
    size_t page_bytes;
    size_t stacks_per_slab;
    size_t max_stacks;
    size_t keep_bytes;
    size_t warm_max;
    size_t guard_limit;
    bool track_high_water;
    const char *size_option;

    /* owner only */
    void *warm;       /* free, as their users left them: hot in the cache */
    void *cold;       /* free, surplus pages given back */
    size_t warm_room; /* how many more may become warm */
    enum stack_guard guard;
    size_t mprotect_guards;
    struct stack_counters counters;

    /* written by the owner, read by its fault handler in the middle of anything */
    struct stack_slab *_Atomic slabs;
};

/*
 * Set up a pool; maps nothing yet. 0, or -EINVAL: an option is out of its bounds. The options are
 * copied, size_option excepted.
 */
int stack_pool_init(struct stack_pool *pool, const struct stack_pool_options *options)
    __attribute__((warn_unused_result));

/* Unmap everything. No stack may be live, nobody may run on one. */
void stack_pool_destroy(struct stack_pool *pool);

/* Instead: somebody's frames, or what the kernel still writes, lie in it for good. */
void stack_pool_leave(struct stack_pool *pool);

/*
 * Look after up to `max` warm stacks: give back what they hold beyond keep_pages and make them
 * cold. One system call each, so for a shard about to sleep. Returns how many there were to do.
 */
size_t stack_pool_trim(struct stack_pool *pool, size_t max);

/*
 * How deep the stack's user went, in bytes below top, to within a page. Costs the user nothing:
 * fresh pages are zero, so the lowest page that exists and the lowest non-zero word in it tell.
 * Costs the caller a system call and a look at one page. In a pool that does not track, a reused
 * stack also shows what former users left. Pages that were swapped out are not seen. The stack
 * is live; its user is the caller, or suspended.
 */
size_t stack_high_water(const struct stack_pool *pool, const void *top);

/*
 * The stack of this pool to whose guard or area `address` belongs: its top, or NULL; *in_guard
 * says which (false without one). Async-signal-safe on the owner's thread.
 */
void *stack_locate(const struct stack_pool *pool, const void *address, bool *in_guard);

/* The rarer halves of the two calls below. */
int stack_alloc_slow(struct stack_pool *pool, void **top);
void stack_free_slow(struct stack_pool *pool, void *top);

/* The lowest usable byte of the stack with this top. */
static inline void *stack_limit(const struct stack_pool *pool, const void *top)
{
    uintptr_t end = (((uintptr_t)top - 1) | (pool->page_bytes - 1)) + 1;

    return (void *)(end - pool->area_bytes);
}

/* Where a free stack keeps the next one. */
static inline void **stack_link(void *top)
{
    return (void **)top - 1;
}

/*
 * Take a stack; *top is its upper end, from which it grows down. What it contains is arbitrary
 * (zero, in a pool that tracks). The last one freed comes first.
 * Errors: -EAGAIN max_stacks are live; -ENOMEM no address space or memory for another slab.
 */
static inline __attribute__((warn_unused_result)) int stack_alloc(struct stack_pool *pool,
                                                                  void **top)
{
    void *warm = pool->warm;

    if (OURO_UNLIKELY(!warm))
        return stack_alloc_slow(pool, top);
    pool->warm = *stack_link(warm);
    pool->warm_room++;
    if (++pool->counters.live > pool->counters.peak)
        pool->counters.peak = pool->counters.live;
    *top = warm;
    return 0;
}

/* Give a stack back. Nobody may run on it any more: its topmost word is the pool's at once. */
static inline void stack_free(struct stack_pool *pool, void *top)
{
    check((uintptr_t)top % STACK_COLOUR_BYTES == 0); /* [STACK-1] */
    check(pool->counters.live > 0);
    context_annotate_unused(stack_limit(pool, top), top);
    if (OURO_UNLIKELY(!pool->warm_room)) {
        stack_free_slow(pool, top);
        return;
    }
    pool->warm_room--;
    pool->counters.live--;
    *stack_link(top) = pool->warm;
    pool->warm = top;
}

#endif
