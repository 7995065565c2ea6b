/* SPDX-License-Identifier: MIT */
#include "cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

static int parse_number(const char **text)
{
    char *end;
    long n;

    if (**text < '0' || **text > '9')
        return -EINVAL;
    n = strtol(*text, &end, 10);
    if (n >= CPU_SETSIZE)
        return -EINVAL;
    *text = end;
    return (int)n;
}

int cpus_parse(const char *list, int cpus[BENCH_MAX_CPUS])
{
    int count = 0;

    for (;;) {
        int first = parse_number(&list), last = first;

        if (first >= 0 && *list == '-') {
            list++;
            last = parse_number(&list);
        }
        if (first < 0 || last < first)
            return -EINVAL;
        for (int cpu = first; cpu <= last; cpu++) {
            if (count == BENCH_MAX_CPUS)
                return -E2BIG;
            cpus[count++] = cpu;
        }
        if (*list == '\0')
            return count;
        if (*list++ != ',')
            return -EINVAL;
    }
}

int cpus_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}

size_t cpus_raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    return limit.rlim_cur;
}
