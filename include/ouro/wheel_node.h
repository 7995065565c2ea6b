/* SPDX-License-Identifier: MIT */
/* The part of a timer that the shard's timer wheel links. All zeros is idle. The fields are the
 * wheel's. */
#ifndef OURO_WHEEL_NODE_H
#define OURO_WHEEL_NODE_H

#include <stdint.h>

struct ouro_wheel_link {
    struct ouro_wheel_link *next, *prev;
};

struct ouro_wheel_node {
    struct ouro_wheel_link link; /* NULL, NULL: idle */
    uint64_t deadline_ns;        /* read-only while pending */
};

#define OURO_TICK_NS UINT64_C(65536) /* resolution of timers */

#endif
