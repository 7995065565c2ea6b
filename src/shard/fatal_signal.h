/* SPDX-License-Identifier: MIT */
/* Signals that end the process (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT), reported on standard
 * error first:
 *
 *   ouro: SIGSEGV at address 0x18 in task 'echo' on shard 1
 *   ./server(+0x4f21)[0x55d0c1a4ef21]
 *   ./server(serve+0x77)[0x55d0c1a4f0b7]
 *
 * The frames are those of the interrupted stack, the innermost first, as backtrace_symbols_fd(3)
 * writes them: `addr2line -e ./server +0x4f21` finds the line. A stackless task also has the
 * function that resumes it. A stack overflow is reported as stack_fault.h says.
 *
 * The handlers are the process's, installed by the first who asks and removed by the last. After
 * the report the signal goes to the disposition found at installation, as far as a handler can do
 * that: a previous handler is called (on the alternate stack, its sa_mask not applied), or the
 * default action is restored and happens, with a core of where it was. What was ignored, and was
 * only sent, stays ignored. A handler that aborts causes no second report. Everything that runs in
 * the handler is async-signal-safe, as far as the unwinder is: it is loaded beforehand. */
#ifndef SHARD_FATAL_SIGNAL_H
#define SHARD_FATAL_SIGNAL_H

/* Calls nest. 0 or -errno. */
int fatal_signals_install(void);

/* Leaves a handler to whoever has replaced it since, and who may call it. */
void fatal_signals_remove(void);

/* The frames of what the signal interrupted. In a handler. */
void fatal_signal_frames(const void *ucontext);

/* Its stack pointer. */
const void *fatal_signal_sp(const void *ucontext);

#endif
