/* SPDX-License-Identifier: MIT */
#ifndef OURO_TOOLS_PROBE_TOPOLOGY_H
#define OURO_TOOLS_PROBE_TOPOLOGY_H

#include <ouro/topology.h>

/* Draws a machine (NULL: this one) and where the shards of such a start would go. The exit status.
 */
int topology_print(const char *machine, const struct ouro_options *options);

#endif
