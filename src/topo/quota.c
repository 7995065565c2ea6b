/* SPDX-License-Identifier: MIT */
/* How much CPU time the cgroups grant: the least of the process's own group and all above it, as
 * far as they can be seen from here. */
#include "topo/topo.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are not found. On the stack of who calls, which may be a fiber's. */
#define PATH_BYTES 1024

/* One hierarchy in sight: where it is mounted, and which of its groups that shows. */
struct hierarchy {
    bool unified; /* version 2 */
    char mount[PATH_BYTES], top[PATH_BYTES];
};

/* "CONTROLLERS" holds cpu, as in "cpu,cpuacct". */
static bool names_cpu(const char *controllers)
{
    size_t n;

    for (; *controllers != '\0'; controllers += n + (controllers[n] == ',')) {
        n = strcspn(controllers, ",\n");
        if (n == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        if (controllers[n] == '\n')
            break;
    }
    return false;
}

static FILE *open_below(const char *root, const char *path)
{
    char full[3 * PATH_BYTES];

    snprintf(full, sizeof full, "%s%s", root, path);
    return fopen(full, "re");
}

/* The process's group in the hierarchy (lines "7:cpu,cpuacct:/group", of version 2 "0::/group"). */
static bool own_group(const char *root, bool unified, char *group, size_t n)
{
    FILE *f = open_below(root, "/proc/self/cgroup");
    char *line = NULL, *controllers, *path;
    bool found = false;
    size_t room = 0;

    if (f == NULL)
        return false;
    while (!found && getline(&line, &room, f) > 0) {
        controllers = strchr(line, ':');
        path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        found = unified ? controllers[1] == '\0' && line[0] == '0' : names_cpu(controllers + 1);
        if (found)
            snprintf(group, n, "%.*s", (int)strcspn(path, "\n"), path);
    }
    free(line);
    fclose(f);
    return found;
}

/* A line of mountinfo: "36 35 0:28 /top /mount opts [...] - cgroup2 source opts". */
static bool take_mount(struct hierarchy *h, char *line)
{
    char *rest = strstr(line, " - "), type[16], super[256];

    if (rest == NULL || sscanf(rest, " - %15s %*s %255s", type, super) != 2)
        return false;
    h->unified = strcmp(type, "cgroup2") == 0;
    if (!h->unified && (strcmp(type, "cgroup") != 0 || !names_cpu(super)))
        return false;
    return sscanf(line, "%*s %*s %*s %1023s %1023s", h->top, h->mount) == 2;
}

/* A file of at most two numbers; the first may be "max". False: it is not there, or no bound. */
static bool read_bound(const char *root, const char *directory, const char *file, int64_t *first,
                       int64_t *second)
{
    char path[2 * PATH_BYTES + 32];
    FILE *f;
    int got;

    snprintf(path, sizeof path, "%s/%s", directory, file);
    f = open_below(root, path);
    if (f == NULL)
        return false;
    got = fscanf(f, "%" SCNd64 " %" SCNd64, first, second);
    fclose(f);
    return got >= 1 && *first > 0;
}

static unsigned quota_of_group(const char *root, const struct hierarchy *h, const char *directory)
{
    int64_t quota, period = 0, none;
    uint64_t thousandths;
    bool bound = h->unified ? read_bound(root, directory, "cpu.max", &quota, &period)
                            : read_bound(root, directory, "cpu.cfs_quota_us", &quota, &none) &&
                                  read_bound(root, directory, "cpu.cfs_period_us", &period, &none);

    if (!bound || period <= 0)
        return 0;
    thousandths = (uint64_t)quota * 1000 / (uint64_t)period;
    return thousandths == 0 ? 1 : thousandths > UINT_MAX ? 0 : (unsigned)thousandths;
}

static void take_least(unsigned *least, unsigned one)
{
    if (one != 0 && (*least == 0 || one < *least))
        *least = one;
}

/* The least of the own group and those above it, up to the one that is mounted. */
static unsigned quota_of(const char *root, const struct hierarchy *h)
{
    char group[PATH_BYTES], directory[2 * PATH_BYTES];
    size_t top = strcmp(h->top, "/") == 0 ? 0 : strlen(h->top), mount = strlen(h->mount);
    unsigned least = 0;

    if (!own_group(root, h->unified, group, sizeof group))
        return 0;
    /* Of a container without a namespace of its own the mount shows the group itself. */
    if (strncmp(group, h->top, top) != 0 || strncmp(group, "/..", 3) == 0)
        group[top = 0] = '\0';
    snprintf(directory, sizeof directory, "%s%s", h->mount, group + top);
    for (char *end = directory + strlen(directory);; end = strrchr(directory, '/')) {
        if (end == NULL || (size_t)(end - directory) < mount)
            break;
        *end = '\0';
        take_least(&least, quota_of_group(root, h, directory));
    }
    return least;
}

unsigned topo_quota(const char *root)
{
    FILE *f = open_below(root, "/proc/self/mountinfo");
    struct hierarchy h;
    unsigned least = 0;
    char *line = NULL;
    size_t room = 0;

    if (f == NULL)
        return 0;
    while (getline(&line, &room, f) > 0)
        if (take_mount(&h, line))
            take_least(&least, quota_of(root, &h));
    free(line);
    fclose(f);
    return least;
}
