/* SPDX-License-Identifier: MIT */
/* The CPU time that cgroups grant: of version 2, version 1 and both, in a container or not; the
 * least of all groups above. Trees of files stand in for /proc and /sys. */
#include "support/topo_support.h"

#include <ftw.h>
#include <sys/stat.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/ouro-quota-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static int drop_root(void **state)
{
    (void)state;
    return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* A file below the root, and the directories on its way. */
static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;

    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#define V2_MOUNT "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHERS                                                                                     \
    "22 1 254:0 / / rw - ext4 /dev/root rw\n"                                                      \
    "23 22 0:5 / /proc rw - proc proc rw\n"                                                        \
    "24 22 0:6 / /sys rw shared:2 master:1 - sysfs sysfs rw\n"

static void unified(void **state)
{
    (void)state;
    put("/proc/self/mountinfo", OTHERS V2_MOUNT);
    put("/proc/self/cgroup", "0::/system.slice/echo.service\n");
    assert_int_equal(topo_quota(root), 0); /* no controller there */
    put("/sys/fs/cgroup/system.slice/echo.service/cpu.max", "max 100000\n");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/system.slice/echo.service/cpu.max", "150000 100000\n");
    assert_int_equal(topo_quota(root), 1500);
    put("/sys/fs/cgroup/system.slice/cpu.max", "50000 100000\n"); /* what is above counts too */
    assert_int_equal(topo_quota(root), 500);
    put("/sys/fs/cgroup/system.slice/cpu.max", "800000 100000\n");
    assert_int_equal(topo_quota(root), 1500);
    put("/sys/fs/cgroup/system.slice/echo.service/cpu.max", "1000 10000000\n");
    assert_int_equal(topo_quota(root), 1); /* hardly anything is not none */
}

/* A container with a namespace of its own sees its group as the top. */
static void top_of_a_namespace(void **state)
{
    (void)state;
    put("/proc/self/mountinfo", OTHERS V2_MOUNT);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    assert_int_equal(topo_quota(root), 2500);
}

/* One without: the mount shows a part of the hierarchy only. */
static void part_of_the_hierarchy(void **state)
{
    (void)state;
    put("/proc/self/mountinfo",
        "40 39 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
    put("/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
    assert_int_equal(topo_quota(root), 4000);
    put("/proc/self/cgroup", "3:cpu,cpuacct:/docker/abc/inner\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "50000\n");
    assert_int_equal(topo_quota(root), 1000);
    put("/proc/self/cgroup", "3:cpu,cpuacct:/../elsewhere\n"); /* out of sight: what is in sight */
    assert_int_equal(topo_quota(root), 4000);
}

static void both_versions(void **state)
{
    (void)state;
    put("/proc/self/mountinfo",
        OTHERS "31 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
               "32 30 0:29 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
               "33 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
               "34 30 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
    put("/proc/self/cgroup",
        "4:cpuset:/x\n3:cpuacct:/x\n2:cpu:/group\n1:name=systemd:/\n0::/two\n");
    put("/sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us", "1\n"); /* not of this hierarchy */
    put("/sys/fs/cgroup/cpuset/x/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/group/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/group/cpu.cfs_period_us", "100000\n");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/cpu/group/cpu.cfs_quota_us", "300000\n");
    assert_int_equal(topo_quota(root), 3000);
    put("/sys/fs/cgroup/unified/two/cpu.max", "200000 100000\n");
    assert_int_equal(topo_quota(root), 2000);
}

/* Whatever is not as it should be is no bound. */
static void nonsense(void **state)
{
    (void)state;
    assert_int_equal(topo_quota("/nowhere/at/all"), 0);
    put("/proc/self/mountinfo",
        "\n-\n - \n1 2\ncgroup2\n - cgroup2\nx - cgroup2 cgroup2 rw\n" V2_MOUNT);
    assert_int_equal(topo_quota(root), 0); /* no /proc/self/cgroup */
    put("/proc/self/cgroup", "\n:\n::\n0\n0:\n0::\n");
    assert_int_equal(topo_quota(root), 0);
    put("/proc/self/cgroup", "0::/g\n");
    put("/sys/fs/cgroup/g/cpu.max", "");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/g/cpu.max", "100000\n");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/g/cpu.max", "100000 0\n");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/g/cpu.max", "-5 100000\n");
    assert_int_equal(topo_quota(root), 0);
    put("/sys/fs/cgroup/g/cpu.max", "100000 100000\n"); /* the one that is right */
    assert_int_equal(topo_quota(root), 1000);
}

#define TREE(f) cmocka_unit_test_setup_teardown(f, make_root, drop_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE(unified),       TREE(top_of_a_namespace), TREE(part_of_the_hierarchy),
        TREE(both_versions), TREE(nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
