/* SPDX-License-Identifier: MIT */
/* What the machine is set to, read where the kernel shows it. */
#include "report.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_PAGES "/sys/kernel/mm/hugepages"

static int64_t read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    int64_t value = -1;

    if (f == NULL)
        return -1;
    if (fscanf(f, "%" SCNd64, &value) != 1)
        value = -1;
    fclose(f);
    return value;
}

static uint64_t read_pages(const char *directory, const char *file)
{
    char path[160];
    int64_t n;

    snprintf(path, sizeof path, HUGE_PAGES "/%.64s/%s", directory, file);
    n = read_number(path);
    return n < 0 ? 0 : (uint64_t)n;
}

static int by_size(const void *a, const void *b)
{
    const struct huge_size *x = a, *y = b;

    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static void look_at_huge_pages(struct machine *m)
{
    DIR *dir = opendir(HUGE_PAGES);
    struct dirent *entry;
    uint64_t kib;

    if (dir == NULL)
        return;
    while (m->huge_sizes < HUGE_SIZES_MAX && (entry = readdir(dir)) != NULL)
        if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1)
            m->huge[m->huge_sizes++] =
                (struct huge_size){.bytes = kib * 1024,
                                   .total = read_pages(entry->d_name, "nr_hugepages"),
                                   .free = read_pages(entry->d_name, "free_hugepages")};
    closedir(dir);
    qsort(m->huge, m->huge_sizes, sizeof m->huge[0], by_size);
}

/* The chosen one stands in brackets: "always [madvise] never". */
static void look_at_transparent(struct machine *m)
{
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    char line[80] = "", *from, *to;

    if (f == NULL)
        return;
    if (fgets(line, sizeof line, f) != NULL && (from = strchr(line, '[')) != NULL &&
        (to = strchr(from, ']')) != NULL)
        snprintf(m->transparent, sizeof m->transparent, "%.*s", (int)(to - from - 1), from + 1);
    fclose(f);
}

void machine_look(struct machine *m)
{
    uname(&m->name);
    getrlimit(RLIMIT_MEMLOCK, &m->memlock);
    getrlimit(RLIMIT_NOFILE, &m->nofile);
    m->io_uring_disabled = read_number("/proc/sys/kernel/io_uring_disabled");
    m->io_uring_group = read_number("/proc/sys/kernel/io_uring_group");
    m->max_map_count = read_number("/proc/sys/vm/max_map_count");
    look_at_huge_pages(m);
    look_at_transparent(m);
}
