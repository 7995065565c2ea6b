/* SPDX-License-Identifier: MIT */
#ifndef IO_LEFTOVER_H
#define IO_LEFTOVER_H

#include <stdbool.h>

struct shard;

/* At stop, when no task is left: closes the connections and files that nobody closed. `report`:
 * says first what each of them is (the first sixteen). */
void leftovers_close(struct shard *s, bool report);

#endif
