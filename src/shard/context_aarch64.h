/* SPDX-License-Identifier: MIT */
/* The exchange of registers on AArch64 (AAPCS64). Included by context.h only. */
#ifndef OURO_SHARD_CONTEXT_AARCH64_H
#define OURO_SHARD_CONTEXT_AARCH64_H

/* Where an indirect branch may land when branch target identification is compiled in. */
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define CONTEXT_LANDING "hint #36\n\t" /* bti j */
#else
#define CONTEXT_LANDING ""
#endif

#ifdef __ARM_FEATURE_SVE
#define CONTEXT_CLOBBERS_SVE                                                                       \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",      \
        "p14", "p15"
#else
#define CONTEXT_CLOBBERS_SVE
#endif

/*
 * x29 cannot be named as clobbered where it is the frame pointer, and x19 is clang's base pointer
 * in functions that realign their stack: these two are saved here, the others by the compiler.
 * Naming vN covers all of zN. Return addresses that are signed (PAC) stay where the compiler
 * spilled them and are checked with the stack pointer they were signed with.
 */
static inline __attribute__((always_inline)) void *context_exchange(struct context *from,
                                                                    const struct context *to,
                                                                    void *pass)
{
    register struct context *x0 __asm__("x0") = from;
    register const struct context *x1 __asm__("x1") = to;
    register void *x2 __asm__("x2") = pass;

    __asm__ volatile("adr x10, 1f\n\t"
                     "mov x9, sp\n\t"
                     "stp x9, x29, [%[from]]\n\t"
                     "stp x19, x10, [%[from], #16]\n\t"
                     "ldp x9, x29, [%[to]]\n\t"
                     "ldp x19, x10, [%[to], #16]\n\t"
                     "mov sp, x9\n\t"
                     "br x10\n"
                     "1:\n\t" CONTEXT_LANDING
                     : [from] "+r"(x0), [to] "+r"(x1), [pass] "+r"(x2)
                     :
                     : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                       "x15", "x16", "x17", "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
                       "x27", "x28", "x30", "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5",
                       "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
                       "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
                       "v28", "v29", "v30", "v31" CONTEXT_CLOBBERS_SVE);
    return x2;
}

#endif
