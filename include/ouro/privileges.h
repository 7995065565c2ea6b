/* SPDX-License-Identifier: MIT */
/* Giving up privileges: for services that are started as root, take their ports, and then serve the
 * world as somebody else. */
#ifndef OURO_PRIVILEGES_H
#define OURO_PRIVILEGES_H

#include <ouro/error.h>

OURO_BEGIN_DECLS

struct ouro_privileges {
    size_t size;       /* sizeof(struct ouro_privileges) */
    const char *user;  /* name or number; required, and not root */
    const char *group; /* name or number. Default: the user's own group; required for a user whose
                          number has no name */
    const char *root;  /* directory that becomes "/" of the process (chroot). Default: stays */
    bool may_gain;     /* leave out what follows: a program that is executed may gain privileges
                          again (set-user-ID, file capabilities) */
};

/* Becomes `user` for good, in every thread of the process: supplementary groups (the user's own, or
 * none for a number), group, user, and no capability is left; unless may_gain, also "no new
 * privileges" and an empty bounding set, on the calling thread and every shard. Then tries to get
 * back, and fails if it can.
 *
 * When: before ouro_run(), or in a fiber of the running runtime, for example when the listeners are
 * open; not from a thread that is no shard while a runtime runs (-EBUSY). It looks users up in the
 * system's databases, which may block: set-up, not service. Descriptors that are open stay so.
 *
 * Returns 0, or -errno with a sentence in *why (may be NULL): -EINVAL no user, or root; -ENOENT an
 * unknown name; -E2BIG more than 256 groups; -EPERM the process has not the privilege to change;
 * -ENOTDIR, -EACCES … `root`. After an error nothing was changed, or the process must end:
 * -ENOTRECOVERABLE says that only some of it was done. Sources: setresuid(2), setgroups(2),
 * prctl(2), capabilities(7). */
OURO_API OURO_NODISCARD int ouro_drop_privileges(const struct ouro_privileges *privileges,
                                                 struct ouro_error *why);

OURO_END_DECLS

#endif
