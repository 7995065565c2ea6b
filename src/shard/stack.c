/* SPDX-License-Identifier: MIT */
/* Stack pools: see stack.h for the map and the invariants. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/poison.h"
#include "stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13, newer than the C library's headers */
#endif

#define SLAB_BYTES        ((size_t)32 << 20)
#define SLAB_STACKS_MAX   ((size_t)65536)
#define WARM_BYTES        ((size_t)64 << 20)
#define WARM_STACKS_MAX   ((size_t)1024)
#define MAX_MAP_COUNT     65530 /* the kernel's default, if /proc does not say */
#define MAPS_PER_MPROTECT 2     /* the guard, and the area it cuts off */

/* Lies in the slab's first page. */
struct stack_slab {
    struct stack_slab *next;
    char *first; /* the lowest guard */
    size_t bytes;
    size_t stacks;
    size_t carved;
};

/* All pools of the process share the kernel's limit on mappings. */
static _Atomic size_t mprotect_guards;

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static size_t clamp(size_t value, size_t low, size_t high)
{
    return value < low ? low : value > high ? high : value;
}

static size_t or_default(size_t value, size_t fallback)
{
    return value ? value : fallback;
}

/* A quarter of the mappings the kernel allows is the number of guards that uses half of them. */
static size_t guard_limit_default(void)
{
    long maps = MAX_MAP_COUNT;
    char text[24];
    ssize_t length;
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        length = read(fd, text, sizeof text - 1);
        close(fd);
        if (length > 0) {
            text[length] = '\0';
            maps = strtol(text, NULL, 10);
        }
    }
    return maps > 0 ? (size_t)maps / 2 / MAPS_PER_MPROTECT : 0;
}

static bool options_valid(const struct stack_pool_options *options)
{
    size_t bytes = or_default(options->stack_bytes, STACK_BYTES_DEFAULT);

    return bytes >= STACK_BYTES_MIN && bytes <= STACK_BYTES_MAX &&
           options->stacks_per_slab <= SLAB_STACKS_MAX && options->max_stacks <= STACK_MAX_LIMIT &&
           options->keep_pages <= STACK_BYTES_MAX / 4096 && options->guard <= STACK_GUARD_NONE;
}

static void set_layout(struct stack_pool *pool, size_t stack_bytes)
{
    size_t page = pool->page_bytes;

    pool->stack_bytes = round_up(stack_bytes, page);
    pool->area_bytes = pool->stack_bytes + page; /* the page that colours use up */
    pool->guard_bytes = round_up(STACK_GUARD_BYTES, page);
    if ((pool->guard_bytes + pool->area_bytes) / page % 2 == 0)
        pool->guard_bytes += page; /* [STACK-2] */
    pool->stride_bytes = pool->guard_bytes + pool->area_bytes;
    check(pool->stride_bytes / page % 2 == 1);     /* [STACK-2] */
    check(pool->guard_bytes >= STACK_GUARD_BYTES); /* [STACK-3] */
}

int stack_pool_init(struct stack_pool *pool, const struct stack_pool_options *options)
{
    if (!options_valid(options))
        return -EINVAL;
    *pool = (struct stack_pool){
        .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
        .max_stacks = or_default(options->max_stacks, STACK_MAX_DEFAULT),
        .guard = options->guard,
        .guard_limit = or_default(options->guard_limit, guard_limit_default()),
        .track_high_water = options->track_high_water,
        .size_option = options->size_option ? options->size_option : "options.stack_bytes",
    };
    set_layout(pool, or_default(options->stack_bytes, STACK_BYTES_DEFAULT));
    /* A pool that tracks looks at every stack at once, none stays warm; and a page left to the
     * next user would count as touched, unless it is the top one. */
    pool->keep_bytes = pool->page_bytes;
    if (!pool->track_high_water) {
        pool->keep_bytes *= or_default(options->keep_pages, 4);
        pool->warm_max = clamp(WARM_BYTES / pool->stack_bytes, 1, WARM_STACKS_MAX);
    }
    pool->warm_room = pool->warm_max;
    pool->stacks_per_slab = or_default(options->stacks_per_slab,
                                       clamp(SLAB_BYTES / pool->stride_bytes, 1, SLAB_STACKS_MAX));
    return 0;
}

void stack_pool_destroy(struct stack_pool *pool)
{
    struct stack_slab *slab = load_relaxed(&pool->slabs);
    struct stack_slab *next;

    ensure(!pool->counters.live, "%zu stacks are still in use", pool->counters.live);
    store_relaxed(&pool->slabs, NULL);
    for (; slab; slab = next) {
        next = slab->next;
        munmap(slab, slab->bytes);
    }
    fetch_sub_relaxed(&mprotect_guards, pool->mprotect_guards);
    *pool = (struct stack_pool){0};
}

static void *stack_top(const struct stack_pool *pool, const struct stack_slab *slab, size_t index)
{
    char *end = slab->first + (index + 1) * pool->stride_bytes;

    return end - index % STACK_COLOURS * STACK_COLOUR_BYTES;
}

void stack_pool_leave(struct stack_pool *pool)
{
    for (struct stack_slab *slab = load_relaxed(&pool->slabs); slab != NULL; slab = slab->next)
        for (size_t i = 0; i < slab->carved; i++)
            leave_behind(stack_limit(pool, stack_top(pool, slab, i)), pool->area_bytes);
}

/*
 * A mapping whose properties hold for all of its pages from the start, so that neighbouring
 * slabs merge into one and guards made by madvise never split it.
 */
static struct stack_slab *slab_map(struct stack_pool *pool)
{
    size_t left = pool->max_stacks - pool->counters.carved;
    size_t stacks = left < pool->stacks_per_slab ? left : pool->stacks_per_slab;
    size_t bytes = pool->page_bytes + stacks * pool->stride_bytes;
    struct stack_slab *slab = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (slab == MAP_FAILED)
        return NULL;
    madvise(slab, bytes, MADV_NOHUGEPAGE); /* refused by a kernel without huge pages: as well */
    /* Sanitizers fork, on the stack of what they report.
     * NOLINTNEXTLINE(misc-redundant-expression): without them both macros are 0 */
    if (!CONTEXT_ASAN && !CONTEXT_TSAN)
        madvise(slab, bytes, MADV_DONTFORK);
    context_annotate_unused(slab, (char *)slab + bytes);
    *slab = (struct stack_slab){
        .next = load_relaxed(&pool->slabs),
        .first = (char *)slab + pool->page_bytes,
        .bytes = bytes,
        .stacks = stacks,
    };
    pool->counters.slabs++;
    store_release(&pool->slabs, slab); /* pairs with stack_locate() in the fault handler */
    return slab;
}

static bool guard_by_mprotect(struct stack_pool *pool, void *guard)
{
    if (fetch_add_relaxed(&mprotect_guards, 1) < pool->guard_limit &&
        !mprotect(guard, pool->guard_bytes, PROT_NONE)) {
        pool->mprotect_guards++;
        return true;
    }
    fetch_sub_relaxed(&mprotect_guards, 1);
    return false;
}

/* False: the stack has no guard. */
static bool guard_install(struct stack_pool *pool, void *guard)
{
    if (pool->guard == STACK_GUARD_AUTO) {
        if (!madvise(guard, pool->guard_bytes, MADV_GUARD_INSTALL))
            return true;
        if (errno == EINVAL) /* unknown to this kernel, or refused for locked memory */
            pool->guard = STACK_GUARD_MPROTECT;
    }
    return pool->guard != STACK_GUARD_NONE && guard_by_mprotect(pool, guard);
}

static int stack_carve(struct stack_pool *pool, void **top)
{
    struct stack_slab *slab = load_relaxed(&pool->slabs);

    if (pool->counters.carved == pool->max_stacks)
        return -EAGAIN;
    if (!slab || slab->carved == slab->stacks)
        slab = slab_map(pool);
    if (!slab)
        return -ENOMEM;
    if (!guard_install(pool, slab->first + slab->carved * pool->stride_bytes))
        pool->counters.unguarded++;
    *top = stack_top(pool, slab, slab->carved++);
    pool->counters.carved++;
    return 0;
}

int stack_alloc_slow(struct stack_pool *pool, void **top)
{
    int error = 0;

    if (pool->cold) {
        *top = pool->cold;
        pool->cold = *stack_link(*top);
    } else {
        error = stack_carve(pool, top);
    }
    if (!error && ++pool->counters.live > pool->counters.peak)
        pool->counters.peak = pool->counters.live;
    return error;
}

/* Advice, not a question: where nothing is to be given back it costs no more than asking. */
static void stack_give_back(struct stack_pool *pool, void *top)
{
    if (pool->area_bytes > pool->keep_bytes)
        madvise(stack_limit(pool, top), pool->area_bytes - pool->keep_bytes, MADV_DONTNEED);
}

/* The next user starts from zeros again, so that what is found then is its own ([STACK-6]): the
 * top page is cleared here, the others are given back. */
static void stack_measure(struct stack_pool *pool, void *top)
{
    size_t deep = stack_high_water(pool, top);
    size_t in_page = ((uintptr_t)top - 1) % pool->page_bytes + 1;
    size_t clear = deep < in_page ? deep : in_page;

    if (deep > pool->counters.deepest)
        pool->counters.deepest = deep;
    if (deep > in_page)
        stack_give_back(pool, top);
    memset((char *)top - clear, 0, clear);
}

static void stack_make_cold(struct stack_pool *pool, void *top)
{
    *stack_link(top) = pool->cold;
    pool->cold = top;
}

void stack_free_slow(struct stack_pool *pool, void *top)
{
    bool in_guard;

    check(stack_locate(pool, (char *)top - 1, &in_guard) == top && !in_guard);
    pool->counters.live--;
    if (pool->track_high_water)
        stack_measure(pool, top);
    else
        stack_give_back(pool, top);
    stack_make_cold(pool, top);
}

size_t stack_pool_trim(struct stack_pool *pool, size_t max)
{
    size_t done = 0;
    void *top;

    while (done < max && (top = pool->warm)) {
        pool->warm = *stack_link(top);
        pool->warm_room++;
        stack_give_back(pool, top);
        stack_make_cold(pool, top);
        done++;
    }
    return done;
}

/* The lowest page of the area that exists, or its end. */
static char *lowest_page(char *low, char *end, size_t page_bytes)
{
    unsigned char exists[256];
    size_t pages;

    for (; low < end; low += pages * page_bytes) {
        pages = (size_t)(end - low) / page_bytes;
        if (pages > sizeof exists)
            pages = sizeof exists;
        if (mincore(low, pages * page_bytes, exists))
            return low; /* cannot be; the answer errs on the deep side */
        for (size_t i = 0; i < pages; i++)
            if (exists[i] & 1)
                return low + i * page_bytes;
    }
    return end;
}

/* Reads memory that may be another fiber's redzones. */
__attribute__((no_sanitize("address"))) size_t stack_high_water(const struct stack_pool *pool,
                                                                const void *top)
{
    char *low = stack_limit(pool, top);
    char *page = lowest_page(low, low + pool->area_bytes, pool->page_bytes);
    const uintptr_t *word = (const uintptr_t *)(void *)page;
    const uintptr_t *stop = (const uintptr_t *)(void *)(page + pool->page_bytes);

    if ((const void *)page >= top)
        return 0;
    if ((const void *)stop > top)
        stop = top;
    context_annotate_look_begin();
    while (word < stop && !*word)
        word++;
    context_annotate_look_end();
    if (word == stop && stop != top) /* touched, but only with zeros: it counts as a whole */
        word = (const uintptr_t *)(void *)page;
    return (size_t)((const char *)top - (const char *)word);
}

void *stack_locate(const struct stack_pool *pool, const void *address, bool *in_guard)
{
    /* pairs with slab_map(): the handler may interrupt it on the same thread */
    const struct stack_slab *slab = load_acquire(&pool->slabs);
    uintptr_t offset;

    *in_guard = false;
    for (; slab; slab = slab->next) {
        offset = (uintptr_t)address - (uintptr_t)slab->first;
        if (offset < slab->stacks * pool->stride_bytes) {
            *in_guard = offset % pool->stride_bytes < pool->guard_bytes;
            return stack_top(pool, slab, offset / pool->stride_bytes);
        }
    }
    return NULL;
}
