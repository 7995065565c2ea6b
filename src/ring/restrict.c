/* SPDX-License-Identifier: MIT */
/* A ring that takes only what the runtime uses: whoever gets to write into its queue can ask the
 * kernel for nothing else. The operations are those that have a name (ring_op_name). */
#include "ring/restrict.h"

#include <stdio.h>
#include <string.h>

/* What set-up, pools of buffers and the end of a ring ask for. */
static const uint8_t calls[] = {
    IORING_REGISTER_PROBE,       IORING_REGISTER_FILES2,           IORING_REGISTER_FILES_UPDATE,
    IORING_UNREGISTER_FILES,     IORING_REGISTER_IOWQ_MAX_WORKERS, IORING_REGISTER_PBUF_RING,
    IORING_UNREGISTER_PBUF_RING, IORING_REGISTER_RING_FDS,         IORING_UNREGISTER_RING_FDS,
};

#define SQE_FLAGS (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS)

static unsigned rules(struct io_uring_restriction *r)
{
    unsigned n = 0;

    for (unsigned op = 0; op < IORING_OP_LAST; op++)
        if (ring_op_used(op))
            r[n++] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP,
                                                   .sqe_op = (uint8_t)op};
    for (size_t i = 0; i < array_size(calls); i++)
        r[n++] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_REGISTER_OP,
                                               .register_op = calls[i]};
    r[n++] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                                           .sqe_flags = SQE_FLAGS};
    return n;
}

int ring_restrict(struct ring *r)
{
    struct io_uring_restriction list[IORING_OP_LAST + array_size(calls) + 1];
    int error;

    memset(list, 0, sizeof list); /* reserved fields too */
    error = r->kernel->control(r->u.ring_fd, IORING_REGISTER_RESTRICTIONS, list, rules(list));
    if (error < 0)
        return error;
    error = r->kernel->control(r->u.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    return error < 0 ? error : 0;
}
