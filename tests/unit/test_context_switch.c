/* SPDX-License-Identifier: MIT */
/* A switch keeps what the ABI and the compiler rely on: registers, red zone, alignment, values
 * passed ([CTX-1], [CTX-2], [CTX-4], [CTX-5]). */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shard/context.h"

enum { STACK_BYTES = 256 * 1024 };

static struct context thread_context;
static struct context fiber_context;
static char *stack;

static int setup(void **state)
{
    (void)state;
    stack = aligned_alloc(4096, STACK_BYTES);
    return stack == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(stack);
    return 0;
}

static void start(void (*entry)(void *arg), void *arg)
{
    context_make_thread(&thread_context);
    context_make(&fiber_context, stack, stack + STACK_BYTES, entry, arg);
}

static void *into_fiber(void *pass)
{
    return context_switch(&thread_context, &fiber_context, pass);
}

static void *out_of_fiber(void *pass)
{
    return context_switch(&fiber_context, &thread_context, pass);
}

/* Values travel both ways, and each side's frames stay as they were. */
static void add_one_forever(void *arg)
{
    uintptr_t value = (uintptr_t)arg;

    while (value)
        value = (uintptr_t)out_of_fiber((void *)(value + 1));
    context_exit(&fiber_context, &thread_context, NULL);
}

static void values_are_passed(void **state)
{
    (void)state;
    start(add_one_forever, (void *)41);
    assert_int_equal((uintptr_t)into_fiber(NULL), 42);
    for (uintptr_t i = 1; i < 10000; i++)
        assert_int_equal((uintptr_t)into_fiber((void *)i), i + 1);
    assert_null(into_fiber(NULL));
    context_destroy(&fiber_context);
}

/*
 * Loads every callee-saved register with a pattern, calls fn, and returns the number of registers
 * which changed. In assembly, because a compiler would spill them itself.
 */
unsigned long call_with_patterns(void (*fn)(void));

#if defined(__x86_64__)
__asm__(".text\n.globl call_with_patterns\n.type call_with_patterns, @function\n"
        "call_with_patterns:\n"
        "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"
        "mov $0x1111, %rbp\n mov $0x2222, %rbx\n mov $0x3333, %r12\n mov $0x4444, %r13\n"
        "mov $0x5555, %r14\n mov $0x6666, %r15\n"
        "call *%rdi\n"
        "xor %eax, %eax\n xor %ecx, %ecx\n"
        "cmp $0x1111, %rbp\n setne %cl\n add %rcx, %rax\n"
        "cmp $0x2222, %rbx\n setne %cl\n add %rcx, %rax\n"
        "cmp $0x3333, %r12\n setne %cl\n add %rcx, %rax\n"
        "cmp $0x4444, %r13\n setne %cl\n add %rcx, %rax\n"
        "cmp $0x5555, %r14\n setne %cl\n add %rcx, %rax\n"
        "cmp $0x6666, %r15\n setne %cl\n add %rcx, %rax\n"
        "add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
#else
__asm__(".text\n.globl call_with_patterns\n.type call_with_patterns, %function\n"
        "call_with_patterns:\n"
        "stp x29, x30, [sp, #-160]!\n stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n"
        "stp x23, x24, [sp, #48]\n stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n"
        "stp d14, d15, [sp, #144]\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n mov x\\n, #0x1000 + \\n\n .endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n mov x1, #0x2000 + \\n\n fmov d\\n, x1\n .endr\n"
        "blr x0\n"
        "mov x0, #0\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n mov x1, #0x1000 + \\n\n"
        " cmp x\\n, x1\n cinc x0, x0, ne\n .endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n mov x1, #0x2000 + \\n\n fmov x2, d\\n\n"
        " cmp x2, x1\n cinc x0, x0, ne\n .endr\n"
        "ldp d14, d15, [sp, #144]\n ldp d12, d13, [sp, #128]\n ldp d10, d11, [sp, #112]\n"
        "ldp d8, d9, [sp, #96]\n ldp x27, x28, [sp, #80]\n ldp x25, x26, [sp, #64]\n"
        "ldp x23, x24, [sp, #48]\n ldp x21, x22, [sp, #32]\n ldp x19, x20, [sp, #16]\n"
        "ldp x29, x30, [sp], #160\n ret\n");
#endif

static void switch_away(void)
{
    into_fiber(NULL);
}

/* The other side fills every callee-saved register with something else. */
static void scribble(void *arg)
{
    (void)arg;
    for (;;) {
#if defined(__x86_64__)
        __asm__ volatile("mov $-1, %%r12\n mov $-1, %%r13\n mov $-1, %%r14\n mov $-1, %%r15\n"
                         "pcmpeqd %%xmm6, %%xmm6\n"
                         :
                         :
                         : "r12", "r13", "r14", "r15", "xmm6");
#else
        __asm__ volatile("mov x20, #-1\n mov x21, #-1\n mov x22, #-1\n mov x23, #-1\n"
                         "mov x24, #-1\n mov x25, #-1\n mov x26, #-1\n mov x27, #-1\n"
                         "mov x28, #-1\n"
                         ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n fmov d\\n, #-1.0\n .endr\n"
                         :
                         :
                         : "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "v8",
                           "v9", "v10", "v11", "v12", "v13", "v14", "v15");
#endif
        out_of_fiber(NULL);
    }
}

static void callee_saved_registers_survive(void **state)
{
    (void)state;
    start(scribble, NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(call_with_patterns(switch_away), 0);
    context_destroy(&fiber_context);
}

/* More live values than there are registers, of every class, across an inlined switch. */
static void live_values_survive(void **state)
{
    volatile int one = 1;
    long i[20];
    double d[20];
    long double x = one * 3.25L;
    int wrong = 0;

    (void)state;
    start(scribble, NULL);
#pragma GCC unroll 20
    for (int k = 0; k < 20; k++) {
        i[k] = one * k * 7;
        d[k] = one * k * 0.5;
    }
    for (int round = 0; round < 50; round++) {
        context_switch(&thread_context, &fiber_context, NULL);
        x += one;
#pragma GCC unroll 20
        for (int k = 0; k < 20; k++) {
            i[k] += one;
            d[k] += one;
        }
    }
    assert_true(x == 53.25L);
#pragma GCC unroll 20
    for (int k = 0; k < 20; k++)
        wrong += (i[k] != k * 7 + 50) + (d[k] != k * 0.5 + 50);
    assert_int_equal(wrong, 0);
    context_destroy(&fiber_context);
}

/* A frame that is realigned and of variable size needs its base pointer back. */
static __attribute__((noinline)) long odd_frame(size_t length)
{
    _Alignas(128) char aligned[128];
    char *variable = __builtin_alloca(length);
    long sum = 0;

    memset(aligned, 1, sizeof aligned);
    memset(variable, 2, length);
    context_switch(&thread_context, &fiber_context, variable);
    assert_int_equal((uintptr_t)aligned % 128, 0);
    for (size_t i = 0; i < sizeof aligned; i++)
        sum += aligned[i];
    for (size_t i = 0; i < length; i++)
        sum += variable[i];
    return sum;
}

static void odd_frames_survive(void **state)
{
    (void)state;
    start(scribble, NULL);
    for (size_t length = 1; length < 3000; length += 97)
        assert_int_equal(odd_frame(length), 128 + 2 * (long)length);
    context_destroy(&fiber_context);
}

/* A leaf by the compiler's lights: what it keeps below its stack pointer must stay ([CTX-4]). */
static __attribute__((noinline)) unsigned long red_zone(unsigned long seed)
{
    volatile unsigned long kept[12];

    for (unsigned k = 0; k < 12; k++)
        kept[k] = seed * k;
    context_switch(&thread_context, &fiber_context, NULL);
    seed = 0;
    for (unsigned k = 0; k < 12; k++)
        seed += kept[k];
    return seed;
}

static void red_zone_survives(void **state)
{
    (void)state;
    start(scribble, NULL);
    for (unsigned long seed = 1; seed < 100; seed++)
        assert_int_equal(red_zone(seed), seed * 66);
    context_destroy(&fiber_context);
}

static void round_upwards(void *arg)
{
    (void)arg;
    fesetround(FE_UPWARD);
    for (;;)
        out_of_fiber(NULL);
}

/* The control words are the thread's: a switch neither saves nor resets them ([CTX-2]). */
static void floating_point_control_is_the_threads(void **state)
{
    (void)state;
    fesetround(FE_TOWARDZERO);
    start(scribble, NULL);
    into_fiber(NULL);
    assert_int_equal(fegetround(), FE_TOWARDZERO);
    context_destroy(&fiber_context);
    start(round_upwards, NULL);
    into_fiber(NULL);
    assert_int_equal(fegetround(), FE_UPWARD);
    context_destroy(&fiber_context);
    fesetround(FE_TONEAREST);
}

static void report_frame(void *arg)
{
    (void)arg;
    out_of_fiber(__builtin_frame_address(0));
    context_exit(&fiber_context, &thread_context, NULL);
}

/* Entry finds the alignment of a call whatever top it was given ([CTX-5]). */
static void entry_is_aligned(void **state)
{
    (void)state;
    for (size_t skew = 0; skew < 64; skew++) {
        context_make_thread(&thread_context);
        context_make(&fiber_context, stack, stack + STACK_BYTES - skew, report_frame, NULL);
        assert_int_equal((uintptr_t)fiber_context.sp % 16, 0);
        assert_int_equal((uintptr_t)into_fiber(NULL) % 16, 0);
        into_fiber(NULL);
        context_destroy(&fiber_context);
    }
}

enum { RING = 16 };
static struct context ring[RING];
static unsigned visits[RING];

static void pass_it_on(void *arg)
{
    size_t self = (size_t)(uintptr_t)arg;

    for (;;) {
        visits[self]++;
        context_switch(&ring[self], self + 1 < RING ? &ring[self + 1] : &thread_context, NULL);
    }
}

/* Fiber to fiber, without a scheduler between them. */
static void fibers_switch_to_fibers(void **state)
{
    size_t part = STACK_BYTES / RING;

    (void)state;
    context_make_thread(&thread_context);
    for (size_t k = 0; k < RING; k++)
        context_make(&ring[k], stack + k * part, stack + (k + 1) * part - 64, pass_it_on,
                     (void *)k);
    for (int round = 0; round < 1000; round++)
        context_switch(&thread_context, &ring[0], NULL);
    for (size_t k = 0; k < RING; k++) {
        assert_int_equal(visits[k], 1000);
        context_destroy(&ring[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_passed),
        cmocka_unit_test(callee_saved_registers_survive),
        cmocka_unit_test(live_values_survive),
        cmocka_unit_test(odd_frames_survive),
        cmocka_unit_test(red_zone_survives),
        cmocka_unit_test(floating_point_control_is_the_threads),
        cmocka_unit_test(entry_is_aligned),
        cmocka_unit_test(fibers_switch_to_fibers),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
