/* SPDX-License-Identifier: MIT */
/* Promises, inside. The state goes from OPEN to ON_ITS_WAY by an exchange that one thread wins; all
 * else is the owner's:
 *
 *   [PROMISE-1] Whoever moved the state to ON_ITS_WAY, and nobody else, writes `result`, uses
 *               `message`, and either sees to it that the promise is kept or opens it again.
 *   [PROMISE-2] A promise is in its shard's list exactly while somebody waits for it.
 */
#ifndef ASYNC_PROMISE_H
#define ASYNC_PROMISE_H

#include <ouro/promise.h>
#include "shard/task.h"

enum promise_state {
    PROMISE_NONE = 0,
    PROMISE_OPEN = 1,
    PROMISE_ON_ITS_WAY = 2, /* to be completed by somebody, elsewhere perhaps */
    PROMISE_KEPT = 3,
};

/* The right to complete it: 0, -EALREADY, -EINVAL. Any thread. */
int promise_claim(struct ouro_promise *p);

/* Gives that right back: nothing was done. */
void promise_unclaim(struct ouro_promise *p);

/* What carries the result to the owner, once claimed. */
struct mesh_message *promise_message(struct ouro_promise *p, int result);

#endif
