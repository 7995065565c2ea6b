/* SPDX-License-Identifier: MIT */
/* Memory that nobody may touch for now: AddressSanitizer ends the process that does, memcheck
 * reports it (with OURO_VALGRIND). Nothing in other builds. The kernel is not held back. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ASAN 1
#endif
#endif
#ifndef POISON_ASAN
#define POISON_ASAN 0
#endif

#if defined(OURO_VALGRIND) && !POISON_ASAN
#define POISON_MEMCHECK 1
#else
#define POISON_MEMCHECK 0
#endif

#if POISON_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define SEES_POISON __attribute__((no_sanitize("address"))) /* before a function that may look */
#else
#define SEES_POISON
#endif
#if POISON_MEMCHECK
#include <valgrind/memcheck.h>
#endif

/* Left behind on purpose, with whatever it points to: that is not lost. */
static inline void leave_behind(const void *p, size_t bytes)
{
#if POISON_ASAN
    __lsan_register_root_region(p, bytes);
#else
    (void)p;
    (void)bytes;
#endif
}

/* True when somebody looks on. */
static inline bool poison_is_seen(void)
{
#if POISON_MEMCHECK
    return RUNNING_ON_VALGRIND != 0;
#else
    return POISON_ASAN;
#endif
}

static inline void poison(const void *p, size_t bytes)
{
#if POISON_ASAN
    __asan_poison_memory_region(p, bytes);
#elif POISON_MEMCHECK
    (void)VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
#else
    (void)p;
    (void)bytes;
#endif
}

/* Afterwards it counts as written: mostly it was by the kernel, which memcheck does not see. */
static inline void unpoison(const void *p, size_t bytes)
{
#if POISON_ASAN
    __asan_unpoison_memory_region(p, bytes);
#elif POISON_MEMCHECK
    (void)VALGRIND_MAKE_MEM_DEFINED(p, bytes);
#else
    (void)p;
    (void)bytes;
#endif
}

#endif
