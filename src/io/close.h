/* SPDX-License-Identifier: MIT */
#ifndef IO_CLOSE_H
#define IO_CLOSE_H

#include "shard/op.h"
#include <ouro/file.h>

/* Begins closing an open slot of any kind. */
void close_slot_start(struct ouro_close *c, struct slot *slot, const void *place);

#endif
