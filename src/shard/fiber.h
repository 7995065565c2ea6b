/* SPDX-License-Identifier: MIT */
#ifndef SHARD_FIBER_H
#define SHARD_FIBER_H

#include "shard/task.h"

#define FIBER_STACK_NAMES 256 /* task names whose stack use is kept */

struct fiber {
    struct ouro_task task;
    struct context context;
    ouro_task_fn *fn;
    void *arg;
    void *top; /* of the stack */
    struct stack_pool *pool;
    uint32_t handle;
    bool joinable, must_run;
};

/* A multiple of 16, so that what follows below it is aligned. */
#define FIBER_BLOCK_BYTES ((sizeof(struct fiber) + 15) & ~(size_t)15)

/* [FIBER-1] The control block leaves the first page to the frames (see the sum in stack.h). */
#if !defined(__SANITIZE_ADDRESS__) && !defined(OURO_VALGRIND)
_Static_assert(FIBER_BLOCK_BYTES <= 256, "control block of a fiber");
#endif

struct fiber_handle {
    uint64_t id;
    struct fiber *fiber; /* NULL: a zombie */
    struct ouro_scope *scope;
    int32_t result;
    uint32_t next, previous; /* free list, zombies of a scope */
    uint8_t how;
};

/* The fiber whose stack has this top. */
struct fiber *fiber_at(const void *top);

#endif
