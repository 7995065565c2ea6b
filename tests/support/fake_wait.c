/* SPDX-License-Identifier: MIT */
/* Waiting in the fake kernel: for what is real, or for time to pass. */
#include "support/fake_inside.h"
#include "support/fake_kernel.h"

#include <poll.h>
#include <time.h>

#define WATCHED 4096

static struct pollfd watch_for(const struct fake_request *r)
{
    struct pollfd p = {.fd = r->file->fd, .events = POLLIN};

    if (r->edges >= 0) {
        p.fd = r->edges;
        return p;
    }
    switch (r->sqe.opcode) {
    case IORING_OP_POLL_ADD:
        p.events = (short)r->sqe.poll32_events;
        break;
    case IORING_OP_SEND:
    case IORING_OP_SEND_ZC:
    case IORING_OP_SENDMSG:
    case IORING_OP_CONNECT:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        p.events = POLLOUT;
        break;
    default:
        break;
    }
    return p;
}

int fake_wait(uint64_t ns)
{
    static struct pollfd watched[WATCHED];
    const struct timespec now = {0}, ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    unsigned n = 0;
    int found;

    for (const struct fake_request *r = fake_pending; r != NULL; r = r->next)
        if (r->file != NULL && r->file->kind == FAKE_REAL) {
            fake_ensure(n < WATCHED);
            watched[n++] = watch_for(r);
        }
    if (ns != UINT64_MAX && fake_pass_time != NULL) {
        found = ppoll(watched, n, &now, NULL);
        return found != 0 || !fake_pass_time(ns) ? 0 : -ETIME;
    }
    found = ppoll(watched, n, ns == UINT64_MAX ? NULL : &ts, NULL);
    return found > 0 ? 0 : found == 0 ? -ETIME : -errno;
}
