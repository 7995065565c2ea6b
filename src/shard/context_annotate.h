/* SPDX-License-Identifier: MIT */
/*
 * What the tools must hear when a context is made, left, entered and destroyed. Every switch goes
 * through these hooks (context.h calls them, nothing else does); in a plain build they are empty
 * and struct context_annotation has no bytes.
 *
 *   AddressSanitizer   which stack is current, and the fake stack of each flow
 *   ThreadSanitizer    one fiber of its own per context (its runtime takes about 8,000 at a time)
 *   Valgrind           which memory is a stack (with OURO_VALGRIND, and its header installed)
 */
#ifndef OURO_SHARD_CONTEXT_ANNOTATE_H
#define OURO_SHARD_CONTEXT_ANNOTATE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define CONTEXT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#endif
#ifndef CONTEXT_ASAN
#define CONTEXT_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define CONTEXT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CONTEXT_TSAN 1
#endif
#endif
#ifndef CONTEXT_TSAN
#define CONTEXT_TSAN 0
#endif

#if defined(OURO_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#define CONTEXT_VALGRIND 1
#endif
#endif
#ifndef CONTEXT_VALGRIND
#define CONTEXT_VALGRIND 0
#endif

#if CONTEXT_ASAN
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if CONTEXT_VALGRIND
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#endif

struct context_annotation {
#if CONTEXT_ASAN
    const void *low;
    size_t bytes;
    void *fake_stack; /* while suspended */
    void (*entry)(void *arg);
    void *arg;
#endif
#if CONTEXT_TSAN
    void *fiber;
#endif
#if CONTEXT_VALGRIND
    unsigned stack_id;
#endif
};

#if CONTEXT_ASAN
/* A new flow must finish the switch that started it before it touches an instrumented frame. */
static inline void context_annotated_entry(void *arg)
{
    struct context_annotation *note = arg;

    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
    note->entry(note->arg);
    __builtin_trap();
}
#endif

static inline void context_annotate_make(struct context_annotation *note, void *low, void *top,
                                         void (**entry)(void *arg), void **arg)
{
#if CONTEXT_ASAN
    size_t bytes = (size_t)((char *)top - (char *)low);

    /* The former user of this memory left by context_exit(): its frames are still poisoned. */
    __asan_unpoison_memory_region(low, bytes);
    *note = (struct context_annotation){.low = low, .bytes = bytes, .entry = *entry, .arg = *arg};
    *entry = context_annotated_entry;
    *arg = note;
#endif
#if CONTEXT_TSAN
    note->fiber = __tsan_create_fiber(0);
#endif
#if CONTEXT_VALGRIND
    note->stack_id = VALGRIND_STACK_REGISTER(low, top);
#endif
    (void)note, (void)low, (void)top, (void)entry, (void)arg;
}

static inline void context_annotate_thread(struct context_annotation *note)
{
#if CONTEXT_ASAN
    pthread_attr_t attributes;
    void *low = NULL;

    if (!pthread_getattr_np(pthread_self(), &attributes)) {
        pthread_attr_getstack(&attributes, &low, &note->bytes);
        pthread_attr_destroy(&attributes);
    }
    note->low = low;
#endif
#if CONTEXT_TSAN
    note->fiber = __tsan_get_current_fiber();
#endif
    (void)note;
}

static inline __attribute__((always_inline)) void context_annotate_leave(
    struct context_annotation *from, struct context_annotation *to)
{
#if CONTEXT_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->bytes);
#endif
#if CONTEXT_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from, (void)to;
}

static inline __attribute__((always_inline)) void context_annotate_arrive(
    struct context_annotation *from)
{
#if CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
    (void)from;
}

static inline __attribute__((always_inline)) void context_annotate_exit(
    struct context_annotation *from, struct context_annotation *to)
{
#if CONTEXT_ASAN
    __sanitizer_start_switch_fiber(NULL, to->low, to->bytes); /* NULL: free the fake stack */
#endif
#if CONTEXT_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from, (void)to;
}

static inline void context_annotate_destroy(struct context_annotation *note)
{
#if CONTEXT_TSAN
    __tsan_destroy_fiber(note->fiber);
    note->fiber = NULL;
#endif
#if CONTEXT_VALGRIND
    VALGRIND_STACK_DEREGISTER(note->stack_id);
#endif
    (void)note;
}

/* Nobody's frames lie in [low, end) any more: it is plain memory until the next context_make(). */
static inline void context_annotate_unused(void *low, void *end)
{
#if CONTEXT_ASAN
    __asan_unpoison_memory_region(low, (size_t)((char *)end - (char *)low));
#endif
#if CONTEXT_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(low, (size_t)((char *)end - (char *)low));
#endif
    (void)low, (void)end;
}

/* Between these two, somebody looks at memory of a stack that no frame owns. AddressSanitizer
 * needs no_sanitize on the function besides. */
static inline void context_annotate_look_begin(void)
{
#if CONTEXT_VALGRIND
    VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

static inline void context_annotate_look_end(void)
{
#if CONTEXT_VALGRIND
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

#endif
