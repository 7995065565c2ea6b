/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/quote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

struct rule {
    const char *name;
    size_t offset;
    uint8_t bytes; /* width of the field */
    bool power;    /* rounded up to a power of two */
    uint64_t least, most, standard;
};

#define FIELD(f) #f, offsetof(struct ouro_options, f), sizeof(((struct ouro_options *)0)->f)

/* Bounds and defaults in one place; the header says the same in words. */
static const struct rule rules[] = {
    {FIELD(run_budget_ns), false, 10000, OURO_NSEC_PER_SEC, 500000},
    {FIELD(spin_ns), false, 0, OURO_NSEC_PER_MSEC, 0},
    {FIELD(drain_deadline_ns), false, 1, 3600 * OURO_NSEC_PER_SEC, 10 * OURO_NSEC_PER_SEC},
    {FIELD(sq_entries), true, 8, 32768, 1024},
    {FIELD(cq_entries), true, 8, 65536, 0},  /* 8 × sq */
    {FIELD(descriptors), false, 16, MIB, 0}, /* from RLIMIT_NOFILE */
    {FIELD(buffer_bytes), true, 256, 65536, 2048},
    {FIELD(buffers), true, 16, 16384, 256},
    {FIELD(buffers_max), true, 16, 32768, 4096},
    {FIELD(large_buffer_bytes), true, 256, MIB, 16384},
    {FIELD(large_buffers), true, 16, 16384, 64},
    {FIELD(large_buffers_max), true, 16, 32768, 1024},
    {FIELD(stack_bytes), false, 16 * KIB, 64 * MIB, 64 * KIB},
    {FIELD(large_stack_bytes), false, 16 * KIB, 64 * MIB, MIB},
    {FIELD(max_fibers), false, 1, 16777215, MIB},
    {FIELD(lane_messages), false, 1, LANE_MESSAGES, LANE_MESSAGES},
    {FIELD(iowq_bounded), false, 1, 1024, 4},
    {FIELD(iowq_unbounded), false, 1, 1024, 4},
};

static uint64_t get(const struct ouro_options *o, const struct rule *r)
{
    uint32_t narrow;
    uint64_t wide;

    if (r->bytes == sizeof wide) {
        memcpy(&wide, (const char *)o + r->offset, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)o + r->offset, sizeof narrow);
    return narrow;
}

static void put(struct ouro_options *o, const struct rule *r, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;

    if (r->bytes == sizeof value)
        memcpy((char *)o + r->offset, &value, sizeof value);
    else
        memcpy((char *)o + r->offset, &narrow, sizeof narrow);
}

static int apply(struct ouro_options *o, const struct rule *r, char *why, size_t why_bytes)
{
    uint64_t v = get(o, r);

    if (v == 0)
        v = r->standard;
    else if (v < r->least || v > r->most) {
        snprintf(why, why_bytes, "options.%s = %llu is out of its bounds %llu to %llu", r->name,
                 (unsigned long long)v, (unsigned long long)r->least, (unsigned long long)r->most);
        return -EINVAL;
    }
    if (r->power && v > 1)
        v = UINT64_C(1) << (64 - __builtin_clzll(v - 1));
    put(o, r, v);
    return 0;
}

static int pair(const char *low_name, uint64_t low, const char *high_name, uint64_t high, char *why,
                size_t why_bytes)
{
    if (low <= high)
        return 0;
    snprintf(why, why_bytes, "options.%s = %llu is more than options.%s = %llu", low_name,
             (unsigned long long)low, high_name, (unsigned long long)high);
    return -EINVAL;
}

/* What one field says about another. */
static int agree(struct ouro_options *o, char *why, size_t n)
{
    int error;

    if (o->cq_entries == 0)
        o->cq_entries = o->sq_entries > 8192 ? 65536 : o->sq_entries * 8;
    error = pair("sq_entries", o->sq_entries, "cq_entries", o->cq_entries, why, n);
    if (error == 0)
        error = pair("buffers", o->buffers, "buffers_max", o->buffers_max, why, n);
    if (error == 0)
        error = pair("large_buffers", o->large_buffers, "large_buffers_max", o->large_buffers_max,
                     why, n);
    if (error == 0)
        error = pair("buffer_bytes", o->buffer_bytes, "large_buffer_bytes", o->large_buffer_bytes,
                     why, n);
    if (error == 0)
        error =
            pair("stack_bytes", o->stack_bytes, "large_stack_bytes", o->large_stack_bytes, why, n);
    return error;
}

/* Waiting for these is meaningless: they come from the running instruction, or cannot be blocked.
 */
static const int unblockable[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                  SIGILL,  SIGTRAP, SIGABRT, SIGSYS};

static int check_others(const struct ouro_options *o, char *why, size_t why_bytes)
{
    char quoted[QUOTE_BYTES];

    if (o->shards > OURO_MAX_SHARDS) {
        snprintf(why, why_bytes, "options.shards = %u is out of its bounds 1 to %d", o->shards,
                 OURO_MAX_SHARDS);
        return -EINVAL;
    }
    if (o->wake > OURO_WAKE_RING) {
        snprintf(why, why_bytes, "options.wake = %u is no enum ouro_wake", o->wake);
        return -EINVAL;
    }
    if (strlen(o->thread_prefix) > 10) {
        snprintf(why, why_bytes, "options.thread_prefix = %s is longer than 10 characters",
                 quote_text(quoted, o->thread_prefix, strlen(o->thread_prefix)));
        return -EINVAL;
    }
    for (size_t i = 0; i < array_size(unblockable); i++)
        if ((o->signals & OURO_SIGNAL_BIT(unblockable[i])) != 0) {
            snprintf(why, why_bytes,
                     "options.signals contains signal %d, which cannot be waited for",
                     unblockable[i]);
            return -EINVAL;
        }
    return 0;
}

static void default_descriptors(struct ouro_options *o)
{
    struct rlimit limit;

    if (o->descriptors != 0)
        return;
    o->descriptors = 16384;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t most = o->keep_nofile ? limit.rlim_cur : limit.rlim_max;

        if (most < o->descriptors)
            o->descriptors = most < 16 ? 16 : (uint32_t)most;
    }
}

int options_take(struct ouro_options *out, const struct ouro_options *in, char *why,
                 size_t why_bytes)
{
    int error = 0;

    *out = (struct ouro_options){.size = sizeof *out};
    if (in != NULL && in->size != sizeof *in) {
        snprintf(why, why_bytes, "options.size = %zu is not sizeof(struct ouro_options) = %zu",
                 in->size, sizeof *in);
        return -EINVAL;
    }
    if (in != NULL)
        *out = *in;
    if (out->thread_prefix == NULL)
        out->thread_prefix = "ouro";
    for (size_t i = 0; error == 0 && i < array_size(rules); i++)
        error = apply(out, &rules[i], why, why_bytes);
    if (error == 0)
        error = agree(out, why, why_bytes);
    if (error == 0)
        error = check_others(out, why, why_bytes);
    default_descriptors(out);
    return error;
}
