/* SPDX-License-Identifier: MIT */
#include "io/leftover.h"
#include "io/close.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each has a small task of its own, since none is left that could wait. */
struct leftover {
    struct ouro_task task;
    struct ouro_op install;
    struct ouro_close close;
    uint64_t id;
    bool report;
};

static struct slot *slot_of(struct shard *s, const struct leftover *x)
{
    return &s->slots.slot[handle_slot(x->id)];
}

/* A socket by its peer, or else where it is; a file by its path. */
static const char *describe(int fd, const struct slot *slot, char *text, size_t size)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    struct ouro_addr addr;
    bool peer;
    char link[32];
    ssize_t n;

    snprintf(text, size, "?");
    if (slot->kind == SLOT_CONN) {
        peer = getpeername(fd, (struct sockaddr *)&ss, &len) == 0;
        if ((peer || getsockname(fd, (struct sockaddr *)&ss, &len) == 0) &&
            ouro_addr_from_sockaddr(&addr, (struct sockaddr *)&ss, len) == 0)
            (void)!ouro_addr_format(&addr, text, size);
        return peer ? "connection with" : "socket at";
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, text, size - 1);
    if (n >= 0)
        text[n] = '\0';
    return "file";
}

static void report(const struct shard *s, const struct slot *slot, int fd)
{
    char text[256];
    const char *what = describe(fd, slot, text, sizeof text);

    notice("shard %u: at stop, still open: %s %s", s->number, what, text);
}

/* A direct descriptor has a name only as an ordinary one. */
static void install_start(struct shard *s, struct leftover *x)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(s, &x->install, x->id, (enum slot_kind)slot_of(s, x)->kind,
                    IORING_OP_FIXED_FD_INSTALL, NULL, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_fixed_fd_install(sqe, 0, 0);
    op_go(&x->install, sqe, slot, TAG_OP);
}

static void resume(struct ouro_task *task)
{
    struct leftover *x = OURO_FRAME(task, struct leftover, task);
    struct shard *s = shard_self;

    OURO_BEGIN(task);
    if (x->report && !slot_of(s, x)->direct) {
        report(s, slot_of(s, x), slot_of(s, x)->fd);
    } else if (x->report && ring_has_op(&s->ring, IORING_OP_FIXED_FD_INSTALL)) {
        install_start(s, x);
        OURO_AWAIT(task, &x->install.future);
        if (x->install.future.result >= 0) {
            report(s, slot_of(s, x), x->install.future.result);
            close(x->install.future.result);
        }
    }
    close_slot_start(&x->close, slot_of(s, x), NULL);
    OURO_AWAIT(task, &x->close.op.future);
    OURO_BEGIN_END;
    task_finish(s, task, 0);
    free(x);
}

void leftovers_close(struct shard *s, bool report_them)
{
    unsigned reports = 0;

    for (uint32_t i = 0; i < s->slots.fresh; i++) {
        struct slot *slot = &s->slots.slot[i];
        struct leftover *x;

        if ((slot->kind != SLOT_CONN && slot->kind != SLOT_FILE) || slot->closing)
            continue;
        x = calloc(1, sizeof *x);
        if (x == NULL)
            return; /* they end with the ring, and are counted */
        x->id = slot->id;
        x->report = report_them && reports++ < REPORTED_LEFTOVERS;
        x->task =
            (struct ouro_task){.resume = resume, .name = "leftover", .flags = TASK_SHIELD_ONE};
        task_push(s, &x->task);
    }
}
