/* SPDX-License-Identifier: MIT */
/* Options of the runtime out of any bytes: taken, and then within bounds and taken again unchanged,
 * or refused by a sentence that names a field. What follows the struct is the texts. */
#include "target.h"

#include <errno.h>
#include "options.h"

static const char *const fields[] = {
#define NAME(f) "options." #f
    NAME(size),           NAME(cpus),          NAME(shards),
    NAME(signals),        NAME(thread_prefix), NAME(run_budget_ns),
    NAME(spin_ns),        NAME(cq_entries),    NAME(drain_deadline_ns),
    NAME(sq_entries),     NAME(buffer_bytes),  NAME(descriptors),
    NAME(buffers),        NAME(buffers_max),   NAME(large_buffer_bytes),
    NAME(stack_bytes),    NAME(large_buffers), NAME(large_stack_bytes),
    NAME(max_fibers),     NAME(iowq_bounded),  NAME(large_buffers_max),
    NAME(iowq_unbounded), NAME(lane_messages), NAME(wake)};

static void refused(const char *why, size_t room)
{
    bool named = false;

    demand_message(why, room);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        named = named || strstr(why, fields[i]) != NULL;
    demand(named);
}

static void accepted(const struct ouro_options *o)
{
    struct ouro_options again;
    char why[256] = "";

    demand(o->sq_entries >= 8 && o->sq_entries <= 32768 && o->cq_entries >= o->sq_entries);
    demand((o->sq_entries & (o->sq_entries - 1)) == 0 && o->cq_entries <= 65536);
    demand(o->buffers >= 16 && o->buffers <= o->buffers_max && o->buffers_max <= 32768);
    demand(o->large_buffers <= o->large_buffers_max && o->large_buffers_max <= 32768);
    demand(o->buffer_bytes >= 256 && o->buffer_bytes <= o->large_buffer_bytes);
    demand(o->stack_bytes >= 16384 && o->stack_bytes <= o->large_stack_bytes);
    demand(o->descriptors >= 16 && o->max_fibers >= 1 && o->shards <= OURO_MAX_SHARDS);
    demand(strlen(o->thread_prefix) <= 10);
    demand(options_take(&again, o, why, sizeof why) == 0);
    demand(again.sq_entries == o->sq_entries && again.cq_entries == o->cq_entries);
    demand(again.buffers_max == o->buffers_max && again.descriptors == o->descriptors);
}

/* No bit pattern but two is a bool, no pointer is anything but a text. */
static void tidy(struct ouro_options *o, const uint8_t *data, const char *text)
{
    bool *const flags[] = {&o->oversubscribe,   &o->no_pinning,     &o->leave_signals,
                           &o->keep_nofile,     &o->quiet,          &o->restrict_ring,
                           &o->no_fatal_report, &o->track_stack_use};

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        uint8_t bit = (data[0] >> i) & 1;

        memcpy(flags[i], &bit, 1);
    }
    o->cpus = (data[1] & 1) != 0 ? text : NULL;
    o->thread_prefix = (data[1] & 2) != 0 ? text : NULL;
    if ((data[1] & 4) == 0)
        o->size = sizeof *o;
}

/* The rest is mostly small numbers: fields that are one byte each in the input. */
static void fill(struct ouro_options *o, const uint8_t *data, size_t size)
{
    unsigned char *raw = (unsigned char *)o;

    memset(o, 0, sizeof *o);
    for (size_t i = 0; i + 1 < size; i += 2)
        raw[data[i] % sizeof *o] = data[i + 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t cpu[OURO_MAX_SHARDS];
    struct ouro_options in, out;
    char why[256] = "", *text;
    size_t half;
    int code;

    if (size < 2)
        return 0;
    half = size / 2;
    text = text_of(data + half, size - half);
    fill(&in, data + 2, half > 2 ? half - 2 : 0);
    tidy(&in, data, text);
    code = options_take(&out, &in, why, sizeof why);
    demand(code == 0 || code == -EINVAL);
    if (code != 0)
        refused(why, sizeof why);
    else
        accepted(&out);
    if (code == 0) {
        code = options_place(&out, cpu, why, sizeof why);
        demand(code < 0 || (code >= 1 && code <= OURO_MAX_SHARDS));
        if (code < 0)
            refused(why, sizeof why);
    }
    free(text);
    return 0;
}
