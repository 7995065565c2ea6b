/* SPDX-License-Identifier: MIT */
/* Where the shards go, and where they went. */
#include "runtime.h"
#include "base/check.h"
#include "base/quote.h"
#include "topo/topo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- choosing -------------------------------------------------------------------------------- */

static int read_policy(struct ouro_cpus *want, const char *cpus, char *why, size_t why_bytes)
{
    char part[OURO_PARSE_ERROR_BYTES];
    int error;

    *want = (struct ouro_cpus){.policy = OURO_CPUS_ALL};
    if (cpus == NULL)
        return 0;
    error = ouro_parse_cpus(want, cpus, part, sizeof part);
    if (error != 0)
        snprintf(why, why_bytes, "options.cpus: %s", part);
    return error;
}

/* Nobody said how many. */
static bool open_ended(const struct ouro_options *o, const struct ouro_cpus *want)
{
    return o->shards == 0 && want->count == 0 && want->policy != OURO_CPUS_LIST;
}

/* As many as have something to run on, where nobody said how many. */
static unsigned within_quota(const struct ouro_topology *t, unsigned cpus)
{
    unsigned granted = t->quota / 1000 + (t->quota % 1000 != 0);

    return granted != 0 && granted < cpus ? granted : cpus;
}

static int cpus_of(const struct ouro_topology *t, const struct ouro_options *o,
                   const struct ouro_cpus *want, uint16_t *cpu, char *why, size_t why_bytes)
{
    char part[224], quoted[QUOTE_BYTES];
    int n = topo_place(t, want, cpu, OURO_MAX_SHARDS, part, sizeof part);

    if (n < 0 && o->cpus == NULL)
        snprintf(why, why_bytes, "%s", part);
    else if (n < 0)
        snprintf(why, why_bytes, "options.cpus = %s: %s",
                 quote_text(quoted, o->cpus, strlen(o->cpus)), part);
    return n;
}

/* *cpus: how many CPUs there would have been. */
static int place_on(const struct ouro_topology *t, const struct ouro_options *o,
                    const struct ouro_cpus *want, uint16_t *cpu, unsigned *cpus, char *why,
                    size_t why_bytes)
{
    int n = cpus_of(t, o, want, cpu, why, why_bytes);
    unsigned shards;

    if (n < 0)
        return n;
    *cpus = (unsigned)n;
    shards = open_ended(o, want) ? within_quota(t, *cpus) : o->shards != 0 ? o->shards : *cpus;
    if (shards > *cpus && !o->oversubscribe) {
        snprintf(
            why, why_bytes,
            "options.shards = %u, but there are only %u CPUs to run on; set options.oversubscribe "
            "to let them share",
            shards, *cpus);
        return -EINVAL;
    }
    for (unsigned i = *cpus; i < shards; i++)
        cpu[i] = cpu[i % *cpus];
    return (int)shards;
}

int options_place(const struct ouro_options *o, uint16_t *cpu, char *why, size_t why_bytes)
{
    struct ouro_topology *t;
    struct ouro_cpus want;
    unsigned cpus = 0;
    int n = read_policy(&want, o->cpus, why, why_bytes);

    if (n == 0)
        n = topo_read(&t, topo_depth_for(want.policy), why, why_bytes);
    if (n != 0)
        return n;
    t->quota = open_ended(o, &want) ? topo_quota("") : 0;
    n = place_on(t, o, &want, cpu, &cpus, why, why_bytes);
    if (n > 0 && (unsigned)n < cpus && t->quota != 0 && !o->quiet)
        notice("a cgroup's quota grants the time of %u.%03u CPUs: %d shard%s, though there are %u "
               "CPUs; options.shards says otherwise",
               t->quota / 1000, t->quota % 1000, n, n == 1 ? "" : "s", cpus);
    ouro_topology_free(t);
    return n;
}

int ouro_topology_place(const struct ouro_topology *topology, const struct ouro_options *options,
                        uint16_t *cpu, char *why, size_t why_bytes)
{
    struct ouro_options o;
    struct ouro_cpus want;
    unsigned cpus;
    int error;

    if (why == NULL)
        why_bytes = 0;
    if (topology == NULL || cpu == NULL) {
        snprintf(why, why_bytes, "there is no topology, or no room for the CPUs");
        return -EINVAL;
    }
    error = options_take(&o, options, why, why_bytes);
    if (error == 0)
        error = read_policy(&want, o.cpus, why, why_bytes);
    return error != 0 ? error : place_on(topology, &o, &want, cpu, &cpus, why, why_bytes);
}

/* --- asking ---------------------------------------------------------------------------------- */

static int look(unsigned shard, bool node)
{
    struct runtime *rt = shard_self != NULL ? worker_self->runtime : runtime_hold();
    int answer = -EINVAL;

    if (rt != NULL && shard < rt->n) {
        answer = load_relaxed(&rt->workers[shard].node); /* nothing else hangs on it */
        if (answer >= 0 && !node)
            answer = rt->cpu[shard];
    }
    if (rt != NULL && shard_self == NULL)
        runtime_release();
    return answer;
}

int ouro_shard_cpu(unsigned shard)
{
    return look(shard, false);
}

int ouro_shard_node(unsigned shard)
{
    return look(shard, true);
}
