/* SPDX-License-Identifier: MIT */
/*
 * context_start: the first frame of every context. context_make() left the entry function in the
 * base register and its argument in the frame pointer. Unwinders end here: no return address, no
 * frame pointer. One file for all machines, because an object without code but also without the
 * property note below would withdraw branch tracking from the whole program.
 */
    .text
    .p2align 4
    .globl context_start
    .hidden context_start
    .type context_start, %function
context_start:
    .cfi_startproc

#if defined(__x86_64__)
    .cfi_undefined rip
    .cfi_undefined rbp
#if defined(__CET__) && (__CET__ & 1)
#define PROPERTY_AND   0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
#define PROPERTY_VALUE 1          /* IBT; not SHSTK: shadow stacks are not switched */
    endbr64
#endif
    movq %rbp, %rdi
    xorl %ebp, %ebp
    callq *%rbx
    ud2

#elif defined(__aarch64__)
    .cfi_undefined x30
    .cfi_undefined x29
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define PROPERTY_AND   0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#define PROPERTY_VALUE 1          /* BTI; not GCS: guarded control stacks are not switched */
    hint #36                      /* bti j */
#endif
    mov x0, x29
    mov x29, xzr
    mov x30, xzr
    blr x19
    brk #1

#else
#error "no context switch for this machine"
#endif

    .cfi_endproc
    .size context_start, . - context_start

#ifdef PROPERTY_AND
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4  /* name size */
    .long 16 /* descriptor size */
    .long 5  /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long PROPERTY_AND
    .long 4
    .long PROPERTY_VALUE
    .long 0
#endif

    .section .note.GNU-stack, "", %progbits
