/* SPDX-License-Identifier: MIT */
#include <ouro/parse.h>
#include <ouro/privileges.h>
#include <ouro/runtime.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "shard/shard.h"

#define RECORD_BYTES 65536 /* of a user's or group's entry in the system's databases */
#define GROUPS_MOST  256   /* of one user */

struct identity {
    uid_t uid;
    gid_t gid;
    bool has_gid;
    gid_t groups[GROUPS_MOST]; /* supplementary */
    int n_groups;
};

/* 0 with a number, or -EINVAL: it is a name. */
static int number(const char *text, uint32_t *out)
{
    uint64_t n;

    if (ouro_parse_uint(&n, text, 0, UINT32_MAX - 1, NULL, 0) != 0)
        return -EINVAL;
    *out = (uint32_t)n;
    return 0;
}

/* 0, -ENOENT, or what kept the database from being read. */
static int find_user(const char *text, struct identity *id)
{
    char *record = malloc(RECORD_BYTES);
    struct passwd pw, *found = NULL;
    uint32_t n;
    bool numeric = number(text, &n) == 0;
    int error;

    if (record == NULL)
        return -ENOMEM;
    error = numeric ? getpwuid_r(n, &pw, record, RECORD_BYTES, &found)
                    : getpwnam_r(text, &pw, record, RECORD_BYTES, &found);
    if (found != NULL) {
        id->uid = pw.pw_uid;
        id->gid = pw.pw_gid;
        id->has_gid = true;
        id->n_groups = GROUPS_MOST;
        if (getgrouplist(pw.pw_name, pw.pw_gid, id->groups, &id->n_groups) < 0)
            error = E2BIG;
    } else if (numeric) {
        id->uid = n;
    }
    free(record);
    return error != 0 ? -error : found != NULL || numeric ? 0 : -ENOENT;
}

static int find_group(const char *text, struct identity *id)
{
    char *record = malloc(RECORD_BYTES);
    struct group gr, *found = NULL;
    uint32_t n;
    int error;

    if (record == NULL)
        return -ENOMEM;
    if (number(text, &n) == 0) {
        free(record);
        id->gid = n;
        id->has_gid = true;
        return 0;
    }
    error = getgrnam_r(text, &gr, record, RECORD_BYTES, &found);
    if (found != NULL) {
        id->gid = gr.gr_gid;
        id->has_gid = true;
    }
    free(record);
    return found != NULL ? 0 : error != 0 ? -error : -ENOENT;
}

static int find(const struct ouro_privileges *p, struct identity *id, struct ouro_error *why)
{
    int error;

    if (p == NULL || p->size != sizeof *p || p->user == NULL)
        return ouro_error_set(why, -EINVAL, "drop privileges", NULL);
    error = find_user(p->user, id);
    if (error != 0)
        return ouro_error_set(why, error, "find user", p->user);
    if (p->group != NULL)
        error = find_group(p->group, id);
    if (error != 0)
        return ouro_error_set(why, error, "find group", p->group);
    if (id->uid == 0)
        return ouro_error_set(why, -EINVAL, "drop privileges to root", p->user);
    if (!id->has_gid)
        return ouro_error_set(why, -EINVAL, "drop privileges without a group to user", p->user);
    return 0;
}

static int enter_root(const char *root)
{
    if (chroot(root) != 0 || chdir("/") != 0)
        return -errno;
    return 0;
}

/* glibc carries each of these out in every thread of the process. */
static int become(const struct identity *id)
{
    if (setgroups((size_t)id->n_groups, id->groups) != 0 ||
        setresgid(id->gid, id->gid, id->gid) != 0 || setresuid(id->uid, id->uid, id->uid) != 0)
        return -errno;
    return 0;
}

/* The kernel keeps these by thread. */

/* With another user they go by themselves, unless PR_SET_KEEPCAPS or the like was set before. */
static int drop_capabilities(void *arg)
{
    struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    (void)arg;
    return syscall(SYS_capset, &self, none) != 0 ? -errno : 0;
}

static int bar_gains(void *arg)
{
    (void)arg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return 0;
}

/* While the privilege to do so is there. */
static int empty_bounding_set(void *arg)
{
    (void)arg;
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return errno == EPERM ? 0 : -errno; /* without CAP_SETPCAP there is little to drop */
    return 0;
}

static int on_all_threads(int (*fn)(void *arg))
{
    return shard_self != NULL ? ouro_on_each_shard(fn, NULL, "privileges", NULL) : fn(NULL);
}

static bool came_back(const struct identity *id)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;

    if (getresuid(&r, &e, &s) != 0 || getresgid(&gr, &ge, &gs) != 0)
        return true;
    return r != id->uid || e != id->uid || s != id->uid || gr != id->gid || ge != id->gid ||
           gs != id->gid || setresuid(0, 0, 0) == 0;
}

int ouro_drop_privileges(const struct ouro_privileges *p, struct ouro_error *why)
{
    struct identity id = {0};
    int error = find(p, &id, why);

    if (error != 0)
        return error;
    if (shard_self == NULL && ouro_shard_count() != 0)
        return ouro_error_set(why, -EBUSY, "drop privileges beside a running runtime", NULL);
    if (geteuid() != 0)
        return ouro_error_set(why, -EPERM, "drop privileges to user", p->user);
    if (p->root != NULL && (error = enter_root(p->root)) != 0)
        return ouro_error_set(why, error, "change root to", p->root);
    if (!p->may_gain)
        error = on_all_threads(empty_bounding_set);
    if (error == 0)
        error = become(&id);
    if (error == 0)
        error = on_all_threads(drop_capabilities);
    if (error == 0 && !p->may_gain)
        error = on_all_threads(bar_gains);
    if (error == 0 && came_back(&id))
        error = -EPERM;
    if (error != 0) {
        ouro_error_set(why, error, "drop privileges half-way to user", p->user);
        return -ENOTRECOVERABLE;
    }
    return 0;
}
