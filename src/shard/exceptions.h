/* SPDX-License-Identifier: MIT */
/* C++ exceptions and tasks. The library throws none and needs no C++ runtime; this is what programs
 * with one need from it.
 *
 * Held by a flow. The C++ runtime keeps per thread which exceptions are being handled (caught, and
 * not yet left the catch block) and how many are on their way (destructors run meanwhile, and may
 * wait). Fibers of a thread would share them, so a fiber that holds some takes them along when it
 * suspends: struct exceptions is the C++ ABI's __cxa_eh_globals. One load in a program without.
 *
 * Leaving a task. Nothing may unwind beyond a task's function: frames of the runtime lie above it,
 * and a handler there would be somebody else's. A function that says exceptions_end_here() gets a
 * personality routine which names the task and ends the search, so that std::terminate() is called
 * where it was thrown; and which ends the process when a thread unwinds its stack to exit. */
#ifndef SHARD_EXCEPTIONS_H
#define SHARD_EXCEPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <unwind.h>

struct exceptions {
    void *caught;
    unsigned uncaught;
};

/* The C++ runtime's; absent in a program that has none. */
extern struct exceptions *__cxa_get_globals(void) __attribute__((weak));

/* The calling thread's; NULL where there is no C++. */
static inline struct exceptions *exceptions_of_thread(void)
{
    return __cxa_get_globals != NULL ? __cxa_get_globals() : NULL;
}

static inline bool exceptions_held(const struct exceptions *e)
{
    return e != NULL && (e->caught != NULL || e->uncaught != 0);
}

/* Leaves none behind. */
static inline struct exceptions exceptions_take(struct exceptions *e)
{
    struct exceptions held = {0};

    if (e != NULL) {
        held = *e;
        *e = (struct exceptions){0};
    }
    return held;
}

static inline void exceptions_give(struct exceptions *e, struct exceptions held)
{
    if (e != NULL)
        *e = held;
}

_Unwind_Reason_Code exceptions_end(int version, _Unwind_Action actions, _Unwind_Exception_Class of,
                                   struct _Unwind_Exception *exception,
                                   struct _Unwind_Context *context)
    __attribute__((visibility("hidden")));

#ifdef __aarch64__
#define EXCEPTIONS_SYMBOL "S"
#else
#define EXCEPTIONS_SYMBOL "i"
#endif

/* Right before the call that nothing may unwind out of. No instruction: 0x1b says that the unwind
 * table has the routine's address relative to itself, in four bytes. */
static inline __attribute__((always_inline)) void exceptions_end_here(void)
{
    __asm__ volatile(".cfi_personality 0x1b, %c0" ::EXCEPTIONS_SYMBOL(exceptions_end));
}

#endif
