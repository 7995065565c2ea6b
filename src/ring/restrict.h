/* SPDX-License-Identifier: MIT */
#ifndef RING_RESTRICT_H
#define RING_RESTRICT_H

#include "ring/ring.h"

/* Restricts a ring that was made disabled (IORING_SETUP_R_DISABLED), and enables it. 0 or -errno.
 */
int ring_restrict(struct ring *r);

#endif
