/* SPDX-License-Identifier: MIT */
/* C11 atomics with the order in the name; the only file that spells memory orders. Whatever two
 * threads touch is _Atomic and goes through these. Every use that is not relaxed names its partner.
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include <stdatomic.h>

#define load_relaxed(p)         atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p)         atomic_load_explicit((p), memory_order_acquire)
#define load_seq_cst(p)         atomic_load_explicit((p), memory_order_seq_cst)
#define store_relaxed(p, v)     atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v)     atomic_store_explicit((p), (v), memory_order_release)
#define store_seq_cst(p, v)     atomic_store_explicit((p), (v), memory_order_seq_cst)
#define exchange_acq_rel(p, v)  atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define exchange_seq_cst(p, v)  atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define exchange_relaxed(p, v)  atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define fetch_add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fetch_sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define fence_seq_cst()         atomic_thread_fence(memory_order_seq_cst)
#define cas_acq_rel(p, old, new_)                                                                  \
    atomic_compare_exchange_strong_explicit((p), (old), (new_), memory_order_acq_rel,              \
                                            memory_order_acquire)

/* For memory shared with the kernel that liburing declares as plain integers. */
#define shared_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define shared_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define shared_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
