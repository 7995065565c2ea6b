/* SPDX-License-Identifier: MIT */
/* Handles: what names a slot of a table, and goes stale when the slot is given to someone else.
 *
 *     generation (28 bits) │ shard (12) │ slot (24)
 *
 * Generations count from 1, so that no handle is 0. A stale one passes for a live one only after
 * 2^28 further uses of its slot: at 100,000 a second on that one slot, 44 minutes. */
#ifndef BASE_HANDLE_H
#define BASE_HANDLE_H

#include <stdint.h>

#define HANDLE_SLOT_BITS  24
#define HANDLE_SHARD_BITS 12
#define HANDLE_SLOTS      (1u << HANDLE_SLOT_BITS)
#define HANDLE_GENERATION (UINT64_C(1) << (HANDLE_SLOT_BITS + HANDLE_SHARD_BITS))

static inline uint64_t handle_first(uint32_t shard, uint32_t slot)
{
    return HANDLE_GENERATION | (uint64_t)shard << HANDLE_SLOT_BITS | slot;
}

/* Of the next generation. */
static inline uint64_t handle_next(uint64_t id)
{
    id += HANDLE_GENERATION;
    return id >= HANDLE_GENERATION ? id : id + HANDLE_GENERATION; /* wrapped: 0 is none */
}

static inline uint32_t handle_slot(uint64_t id)
{
    return (uint32_t)id & (HANDLE_SLOTS - 1);
}

static inline uint32_t handle_shard(uint64_t id)
{
    return (uint32_t)(id >> HANDLE_SLOT_BITS) & ((1u << HANDLE_SHARD_BITS) - 1);
}

static inline uint32_t handle_generation(uint64_t id)
{
    return (uint32_t)(id >> (HANDLE_SLOT_BITS + HANDLE_SHARD_BITS));
}

#endif
