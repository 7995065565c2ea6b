/* SPDX-License-Identifier: MIT */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <ouro/runtime.h>

/* Copies the caller's options, fills defaults in and checks bounds. 0, or -EINVAL with a sentence
 * that names the field and the value. NULL: all defaults. */
int options_take(struct ouro_options *out, const struct ouro_options *in, char *why,
                 size_t why_bytes);

/* Chooses the CPUs of the shards and their number (place.c), reading as little of the machine as
 * the policy needs. `cpu` has room for OURO_MAX_SHARDS. >= 1 shards, or -errno with a sentence. */
int options_place(const struct ouro_options *o, uint16_t *cpu, char *why, size_t why_bytes);

#endif
