/* SPDX-License-Identifier: MIT */
/* The report for machines: one object. Names stay; new ones may come. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static void string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void member(const char *name, const char *text)
{
    printf("  \"%s\": ", name);
    string(text);
    printf(",\n");
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

/* --- findings -------------------------------------------------------------------------------- */

static void finding(const struct ouro_finding *f)
{
    printf("    {\"name\": ");
    string(f->name);
    if (f->kind == OURO_FINDING_FLAG)
        printf(", \"asked\": %s", truth(f->asked));
    printf(", \"granted\": %s, \"needed_for\": ", truth(f->granted));
    if (f->needed_for == OURO_UNUSABLE)
        printf("null");
    else
        string(verdict_name(f->needed_for));
    if (!f->granted) {
        printf(", \"why\": ");
        string(f->why);
    }
    putchar('}');
}

static void findings(const struct report *r, enum ouro_finding_kind kind, const char *name)
{
    const char *before = "\n";

    printf("  \"%s\": [", name);
    for (unsigned i = 0; i < r->count; i++)
        if (r->found[i].is.kind == kind) {
            printf("%s", before);
            finding(&r->found[i].is);
            before = ",\n";
        }
    printf("%s],\n", before[0] == ',' ? "\n  " : "");
}

/* --- limits and memory ----------------------------------------------------------------------- */

static void limit_value(rlim_t value)
{
    if (value == RLIM_INFINITY)
        printf("null");
    else
        printf("%" PRIu64, (uint64_t)value);
}

/* null: unlimited. */
static void limit(const char *name, const struct rlimit *l)
{
    printf("    \"%s\": {\"soft\": ", name);
    limit_value(l->rlim_cur);
    printf(", \"hard\": ");
    limit_value(l->rlim_max);
    printf("},\n");
}

/* null: the kernel has no such setting. */
static void setting(const char *name, int64_t value, const char *after)
{
    if (value < 0)
        printf("    \"%s\": null%s\n", name, after);
    else
        printf("    \"%s\": %" PRId64 "%s\n", name, value, after);
}

static void limits(const struct report *r)
{
    printf("  \"limits\": {\n");
    limit("memlock_bytes", &r->machine.memlock);
    limit("nofile", &r->machine.nofile);
    printf("    \"iowq_bounded\": %u,\n    \"iowq_unbounded\": %u,\n", r->probe.iowq_bounded,
           r->probe.iowq_unbounded);
    setting("max_map_count", r->machine.max_map_count, ",");
    setting("io_uring_disabled", r->machine.io_uring_disabled, ",");
    setting("io_uring_group", r->machine.io_uring_group, "");
    printf("  },\n");
}

static void huge_pages(const struct machine *m)
{
    printf("  \"huge_pages\": {\n    \"sizes\": [");
    for (unsigned i = 0; i < m->huge_sizes; i++)
        printf("%s\n      {\"bytes\": %" PRIu64 ", \"total\": %" PRIu64 ", \"free\": %" PRIu64 "}",
               i == 0 ? "" : ",", m->huge[i].bytes, m->huge[i].total, m->huge[i].free);
    printf("%s],\n    \"transparent\": ", m->huge_sizes == 0 ? "" : "\n    ");
    if (m->transparent[0] == '\0')
        printf("null");
    else
        string(m->transparent);
    printf("\n  }\n");
}

void json_print(const struct report *r)
{
    char version[32];

    snprintf(version, sizeof version, "%d.%d.%d", OURO_VERSION_MAJOR, OURO_VERSION_MINOR,
             OURO_VERSION_PATCH);
    printf("{\n");
    member("ouro", version);
    member("system", r->machine.name.sysname);
    member("kernel", r->machine.name.release);
    member("machine", r->machine.name.machine);
    member("liburing", r->probe.liburing);
    member("verdict", verdict_name(r->probe.verdict));
    printf("  \"usable\": %s,\n", truth(r->probe.verdict != OURO_UNUSABLE));
    printf("  \"error\": %d,\n", r->probe.error);
    member("why", r->probe.why);
    findings(r, OURO_FINDING_FLAG, "flags");
    findings(r, OURO_FINDING_FEATURE, "features");
    findings(r, OURO_FINDING_OPCODE, "opcodes");
    findings(r, OURO_FINDING_SERVICE, "services");
    limits(r);
    huge_pages(&r->machine);
    printf("}\n");
}
