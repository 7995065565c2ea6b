/* SPDX-License-Identifier: MIT */
/* The report for people. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 98, INDENT = 12 };

/* --- words ----------------------------------------------------------------------------------- */

struct line {
    int column;
};

static void begin_line(struct line *l, const char *label)
{
    l->column = printf("  %-*s", INDENT - 2, label);
}

/* Adds a word of n bytes, on a new line when this one is full. */
static void word(struct line *l, const char *text, size_t n)
{
    if (l->column > INDENT && l->column + 1 + (int)n > WIDTH) {
        printf("\n%*s", INDENT, "");
        l->column = INDENT;
    }
    l->column += printf("%s%.*s", l->column > INDENT ? " " : "", (int)n, text);
}

static void words(struct line *l, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        word(l, text, n);
        text += n + (text[n] == ' ');
    }
}

static void end_line(void)
{
    putchar('\n');
}

static void sentence(const char *label, const char *text)
{
    struct line l;

    begin_line(&l, label);
    words(&l, text);
    end_line();
}

/* --- the verdict ----------------------------------------------------------------------------- */

/* What keeps it from the next one: "for best it lacks RECV_ZC, ring resize". */
static void print_lacks(const struct report *r)
{
    char text[1024];
    enum ouro_verdict next = r->probe.verdict + 1;
    int n = snprintf(text, sizeof text, "for %s it lacks", verdict_name(next));
    bool first = true;

    for (unsigned i = 0; i < r->count && n < (int)sizeof text; i++) {
        const struct ouro_finding *f = &r->found[i].is;

        if (f->granted || f->needed_for != next)
            continue;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", first ? ": " : ", ", f->name);
        first = false;
    }
    sentence("", text);
}

static void print_verdict(const struct report *r)
{
    switch (r->probe.verdict) {
    case OURO_UNUSABLE:
        printf("verdict: io_uring is not usable here\n");
        sentence("", r->probe.why);
        break;
    case OURO_BEST:
        printf("verdict: best\n");
        sentence("", "everything that Ouro can make use of is here");
        break;
    default:
        printf("verdict: %s\n", verdict_name(r->probe.verdict));
        print_lacks(r);
    }
}

/* --- findings -------------------------------------------------------------------------------- */

/* All that were granted on as few lines as it takes. */
static void print_granted(const struct report *r, enum ouro_finding_kind kind, bool asked,
                          const char *label, const char *separator)
{
    struct line l;
    unsigned n = 0;
    char item[96];

    for (unsigned i = 0; i < r->count; i++) {
        const struct ouro_finding *f = &r->found[i].is;

        if (f->kind != kind || !f->granted || f->asked != asked)
            continue;
        if (n++ == 0)
            begin_line(&l, label);
        else
            words(&l, item);
        snprintf(item, sizeof item, "%s%s", f->name, separator);
    }
    if (n == 0)
        return;
    item[strlen(item) - strlen(separator)] = '\0';
    words(&l, item);
    end_line();
}

static void print_refused(const struct report *r, enum ouro_finding_kind kind, const char *label)
{
    char text[WHY_BYTES + 96];

    for (unsigned i = 0; i < r->count; i++) {
        const struct ouro_finding *f = &r->found[i].is;

        if (f->kind != kind || f->granted)
            continue;
        snprintf(text, sizeof text, "%s: %s", f->name, f->why);
        sentence(label, text);
    }
}

static void print_findings(const struct report *r)
{
    if (r->count == 0)
        return;
    printf("\nset-up flags\n");
    print_granted(r, OURO_FINDING_FLAG, true, "granted", "");
    print_granted(r, OURO_FINDING_FLAG, false, "offered", "");
    print_refused(r, OURO_FINDING_FLAG, "refused");
    printf("\nfeatures\n");
    print_granted(r, OURO_FINDING_FEATURE, true, "has", "");
    print_refused(r, OURO_FINDING_FEATURE, "lacks");
    printf("\noperations\n");
    print_granted(r, OURO_FINDING_OPCODE, true, "has", "");
    print_refused(r, OURO_FINDING_OPCODE, "lacks");
    printf("\nservices\n");
    print_granted(r, OURO_FINDING_SERVICE, true, "has", ",");
    print_refused(r, OURO_FINDING_SERVICE, "lacks");
}

/* --- limits and memory ----------------------------------------------------------------------- */

static void format_size(char *buf, size_t n, uint64_t bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned u = 0;

    while (u < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        u++;
    }
    snprintf(buf, n, "%" PRIu64 " %s", bytes, unit[u]);
}

static void format_limit(char *buf, size_t n, rlim_t limit, bool as_size)
{
    if (limit == RLIM_INFINITY)
        snprintf(buf, n, "unlimited");
    else if (as_size)
        format_size(buf, n, limit);
    else
        snprintf(buf, n, "%" PRIu64, (uint64_t)limit);
}

static void print_limit(const char *label, const struct rlimit *limit, bool as_size)
{
    char soft[32], hard[32];

    format_limit(soft, sizeof soft, limit->rlim_cur, as_size);
    format_limit(hard, sizeof hard, limit->rlim_max, as_size);
    printf("  %-32s%s, may be raised to %s\n", label, soft, hard);
}

static void print_sysctl(const char *name, int64_t value)
{
    if (value < 0 && strcmp(name, "kernel.io_uring_group") != 0)
        printf("  %-32snot there\n", name);
    else
        printf("  %-32s%" PRId64 "\n", name, value);
}

static void print_limits(const struct report *r)
{
    const struct machine *m = &r->machine;

    printf("\nlimits\n");
    print_limit("locked memory (ulimit -l)", &m->memlock, true);
    print_limit("descriptors (ulimit -n)", &m->nofile, false);
    if (r->probe.iowq_unbounded != 0)
        printf("  %-32s%u for files, %u for the rest\n", "io-wq workers per ring",
               r->probe.iowq_bounded, r->probe.iowq_unbounded);
    print_sysctl("vm.max_map_count", m->max_map_count);
    print_sysctl("kernel.io_uring_disabled", m->io_uring_disabled);
    if (m->io_uring_disabled > 0)
        print_sysctl("kernel.io_uring_group", m->io_uring_group);
}

static void print_huge_pages(const struct machine *m)
{
    char size[32];

    printf("\nhuge pages\n");
    for (unsigned i = 0; i < m->huge_sizes; i++) {
        format_size(size, sizeof size, m->huge[i].bytes);
        printf("  %-32s%" PRIu64 " of %" PRIu64 " free\n", size, m->huge[i].free, m->huge[i].total);
    }
    printf("  %-32s%s\n", "transparent", m->transparent[0] != '\0' ? m->transparent : "not there");
}

void text_print(const struct report *r)
{
    printf("Ouro %d.%d.%d on %s %s (%s), built with liburing %s\n\n", OURO_VERSION_MAJOR,
           OURO_VERSION_MINOR, OURO_VERSION_PATCH, r->machine.name.sysname, r->machine.name.release,
           r->machine.name.machine, r->probe.liburing);
    print_verdict(r);
    print_findings(r);
    print_limits(r);
    print_huge_pages(&r->machine);
}
