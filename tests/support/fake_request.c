/* SPDX-License-Identifier: MIT */
/* Requests of the fake kernel: taken from the queue, tried until each has its result. */
#include "support/fake_inside.h"

#include <poll.h>
#include <sys/epoll.h>

struct fake_request *fake_pending; /* oldest first */

static bool is_direct(const struct io_uring_sqe *sqe)
{
    return (sqe->flags & IOSQE_FIXED_FILE) != 0;
}

/* Operations on no file that exists already. */
static bool needs_file(unsigned opcode)
{
    switch (opcode) {
    case IORING_OP_NOP:
    case IORING_OP_SOCKET:
    case IORING_OP_OPENAT:
    case IORING_OP_CLOSE:
    case IORING_OP_ASYNC_CANCEL:
        return false;
    default:
        return true;
    }
}

static struct fake_file *file_of(const struct io_uring_sqe *sqe)
{
    struct fake_file *f;

    if (!is_direct(sqe))
        return sqe->fd >= 0 ? fake_real(sqe->fd, false) : NULL;
    f = fake_table_get((unsigned)sqe->fd);
    if (f != NULL)
        fake_hold(f);
    return f;
}

/* A poll that completes at every change needs to know what changed: epoll does. */
static void watch_edges(struct fake_request *r)
{
    struct epoll_event e = {.events = r->sqe.poll32_events};

    if (r->sqe.opcode != IORING_OP_POLL_ADD || (r->sqe.len & IORING_POLL_ADD_MULTI) == 0 ||
        r->file->kind != FAKE_REAL)
        return;
    r->edges = epoll_create1(EPOLL_CLOEXEC);
    fake_ensure(r->edges >= 0 && epoll_ctl(r->edges, EPOLL_CTL_ADD, r->file->fd, &e) == 0);
}

static void drop(struct fake_request *r)
{
    fake_release(r->file);
    if (r->edges >= 0)
        close(r->edges);
    free(r);
}

/* Zero copy that copies: both completions come at once. */
static void complete(struct fake_request *r, int result)
{
    bool zc = r->sqe.opcode == IORING_OP_SEND_ZC && result >= 0;
    bool report = (r->sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE) != 0;

    r->over = true;
    fake_post(r->sqe.user_data, result, zc ? IORING_CQE_F_MORE : 0);
    if (zc)
        fake_post(r->sqe.user_data, report ? (int)IORING_NOTIF_USAGE_ZC_COPIED : 0,
                  IORING_CQE_F_NOTIF);
}

void fake_request_take(const struct io_uring_sqe *sqe)
{
    struct fake_request *r, **at;
    int result;

    if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
        fake_requests_go_on(); /* what was asked before it and can be done, is */
        fake_post(sqe->user_data, fake_cancel(sqe), 0);
        return;
    }
    r = calloc(1, sizeof *r);
    fake_ensure(r != NULL);
    r->sqe = *sqe;
    r->edges = -1;
    r->file = needs_file(sqe->opcode) ? file_of(sqe) : NULL;
    if (!fake_request_supported(sqe->opcode))
        complete(r, -EINVAL);
    else if (needs_file(sqe->opcode) && r->file == NULL)
        complete(r, -EBADF);
    if (!r->over) {
        watch_edges(r);
        if (sqe->opcode == IORING_OP_ACCEPT)
            fake_listener_add(r->file->fd, &r->address);
        result = fake_execute(r);
        if (result != FAKE_AGAIN && !r->over)
            complete(r, result);
    }
    if (r->over) {
        drop(r);
        return;
    }
    for (at = &fake_pending; *at != NULL; at = &(*at)->next)
        continue;
    *at = r;
}

static bool go_on_once(void)
{
    struct fake_request **at = &fake_pending, *r;
    bool changed = false;

    while ((r = *at) != NULL) {
        int result = r->over ? 0 : fake_execute(r);

        if (result != FAKE_AGAIN) {
            if (!r->over)
                complete(r, result);
            *at = r->next;
            drop(r);
            changed = true;
        } else {
            at = &r->next;
        }
    }
    return changed;
}

void fake_requests_go_on(void)
{
    while (go_on_once())
        continue;
}

void fake_requests_drop(void)
{
    while (fake_pending != NULL) {
        struct fake_request *r = fake_pending;

        fake_pending = r->next;
        drop(r);
    }
}

/* --- cancelling ------------------------------------------------------------------------------- */

static bool matches(const struct fake_request *r, const struct io_uring_sqe *sqe)
{
    bool fixed = (sqe->cancel_flags & IORING_ASYNC_CANCEL_FD_FIXED) != 0;

    if (r->over)
        return false;
    if ((sqe->cancel_flags & IORING_ASYNC_CANCEL_ANY) != 0)
        return true;
    if ((sqe->cancel_flags & IORING_ASYNC_CANCEL_FD) != 0)
        return r->file != NULL && r->sqe.fd == sqe->fd && is_direct(&r->sqe) == fixed;
    return r->sqe.user_data == sqe->addr;
}

int fake_cancel(const struct io_uring_sqe *sqe)
{
    bool all = (sqe->cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)) != 0;
    int n = 0;

    for (struct fake_request *r = fake_pending; r != NULL && (all || n == 0); r = r->next)
        if (matches(r, sqe)) {
            complete(r, r->done != 0 ? (int)r->done : -ECANCELED);
            n++;
        }
    go_on_once(); /* drops them */
    return all ? n : n != 0 ? 0 : -ENOENT;
}
