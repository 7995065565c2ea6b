/* SPDX-License-Identifier: MIT */
/* The exchange of registers on x86-64 System V. Included by context.h only. */
#ifndef OURO_SHARD_CONTEXT_X86_64_H
#define OURO_SHARD_CONTEXT_X86_64_H

/* Where an indirect jump may land when indirect-branch tracking is compiled in. */
#if defined(__CET__) && (__CET__ & 1)
#define CONTEXT_LANDING "endbr64\n\t"
#else
#define CONTEXT_LANDING ""
#endif

#ifdef __AVX512F__
#define CONTEXT_CLOBBERS_AVX512                                                                    \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define CONTEXT_CLOBBERS_AVX512
#endif

/*
 * rbp cannot be named as clobbered where it is the frame pointer, and rbx is clang's base pointer
 * in functions that realign their stack: these two are saved here, the others by the compiler.
 * Naming xmmN covers ymmN and zmmN, naming the x87 stack covers the MMX registers.
 */
static inline __attribute__((always_inline)) void *context_exchange(struct context *from,
                                                                    const struct context *to,
                                                                    void *pass)
{
    __asm__ volatile("leaq 1f(%%rip), %%rcx\n\t"
                     "movq %%rsp, 0(%[from])\n\t"
                     "movq %%rbp, 8(%[from])\n\t"
                     "movq %%rbx, 16(%[from])\n\t"
                     "movq %%rcx, 24(%[from])\n\t"
                     "movq 24(%[to]), %%rcx\n\t"
                     "movq 16(%[to]), %%rbx\n\t"
                     "movq 8(%[to]), %%rbp\n\t"
                     "movq 0(%[to]), %%rsp\n\t"
                     "jmp *%%rcx\n"
                     "1:\n\t" CONTEXT_LANDING
                     : [from] "+D"(from), [to] "+S"(to), [pass] "+a"(pass)
                     :
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                       "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15" CONTEXT_CLOBBERS_AVX512);
    return pass;
}

#endif
