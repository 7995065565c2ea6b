/* SPDX-License-Identifier: MIT */
/* What every public header of Ouro stands on: attributes, and the words that all contracts share.
 *
 * Words used in the contracts
 *   shard     one pinned thread with its own io_uring; everything made on a shard belongs to it
 *   task      a fiber (has a stack) or a stackless task (a state machine in the caller's struct)
 *   owner     the shard that made a thing; unless a name ends in `_remote`, a call is for the owner
 *             only: -OURO_ENOSHARD on a thread that is no shard, -OURO_EOTHERSHARD for a handle of
 *             another shard
 *   wait      a call that may suspend the calling fiber; other tasks of the shard run meanwhile
 *   release   a call that gives something back; it is not cancellable
 *
 * Errors are returned as negative errno values; the global errno is never the result of a call.
 */
#ifndef OURO_BASE_H
#define OURO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define OURO_BEGIN_DECLS extern "C" {
#define OURO_END_DECLS   }
#else
#define OURO_BEGIN_DECLS
#define OURO_END_DECLS
#endif

#define OURO_API          __attribute__((visibility("default")))
#define OURO_NODISCARD    __attribute__((warn_unused_result))
#define OURO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define OURO_LIKELY(x)    __builtin_expect(!!(x), 1)
#define OURO_UNLIKELY(x)  __builtin_expect(!!(x), 0)

#define OURO_VERSION_MAJOR 0
#define OURO_VERSION_MINOR 1
#define OURO_VERSION_PATCH 0

/* The same as one number, and whether these headers are of a version or a later one: for the
 * preprocessor. For the library that runs: ouro_version_fits(), ouro/runtime.h. */
#define OURO_VERSION_MAKE(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))
#define OURO_VERSION_NUMBER                                                                        \
    OURO_VERSION_MAKE(OURO_VERSION_MAJOR, OURO_VERSION_MINOR, OURO_VERSION_PATCH)
#define OURO_VERSION_AT_LEAST(major, minor, patch)                                                 \
    (OURO_VERSION_NUMBER >= OURO_VERSION_MAKE(major, minor, patch))

/* Errors that errno has no word for; returned negated, like errno values, whose numbers end at
 * 4095. ouro_strerror() and ouro_error_name() (ouro/error.h) know them. */
#define OURO_ERRORS(X)                                                                             \
    X(OURO_ENOSHARD, 10001, "called on a thread that is no shard, or outside of any task")         \
    X(OURO_EOTHERSHARD, 10002, "the thing belongs to another shard")

enum ouro_error_code {
#define OURO_ERROR_CODE(name, number, text) name = (number),
    OURO_ERRORS(OURO_ERROR_CODE)
#undef OURO_ERROR_CODE
};

/* No deadline, no time-out. */
#define OURO_FOREVER UINT64_MAX

#define OURO_NSEC_PER_USEC UINT64_C(1000)
#define OURO_NSEC_PER_MSEC UINT64_C(1000000)
#define OURO_NSEC_PER_SEC  UINT64_C(1000000000)

#endif
