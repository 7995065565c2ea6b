/* SPDX-License-Identifier: MIT */
/* Machines to place on: descriptions in hwloc's notation and the files of tests/unit/topology. */
#ifndef SUPPORT_TOPO_SUPPORT_H
#define SUPPORT_TOPO_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"
#include "topo/topo.h"

/* Two packages of 4 nodes of 4 L3 caches of 4 cores of 2 threads; siblings are 128 apart. */
#define EPYC "package:2 numa:4 l3:4 core:4 pu:2(indexes=2*128:128*1)"

/* 4 fast cores of two threads (CPUs 0-7), 4 slow ones (8, 10, 12, 14). */
#define HYBRID "hybrid.xml"

/* Nodes 0 (CPUs 0-5, nvme0n1) and 1 (8-15, eth0), cores of two; 6 and 7 are offline, and 1-5 and
 * 8-13 are allowed. vda is near all. */
#define HOLE "hole.xml"

static inline struct ouro_topology *machine(const char *what)
{
    size_t n = strlen(what);
    struct ouro_topology *t = NULL;
    char path[512], why[320] = "";
    int error;

    if (n > 4 && strcmp(what + n - 4, ".xml") == 0) {
        snprintf(path, sizeof path, OURO_SOURCE_DIR "/tests/unit/topology/%s", what);
        error = topo_from_xml(&t, path, why, sizeof why);
    } else {
        error = topo_from_synthetic(&t, what, why, sizeof why);
    }
    if (error != 0)
        fail_msg("%s: %s", what, why);
    return t;
}

/* The policy that a text means. */
static inline struct ouro_cpus cpus(const char *text)
{
    struct ouro_cpus want;
    char err[OURO_PARSE_ERROR_BYTES];

    if (ouro_parse_cpus(&want, text, err, sizeof err) != 0)
        fail_msg("%s", err);
    return want;
}

#endif
