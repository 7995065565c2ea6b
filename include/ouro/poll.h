/* SPDX-License-Identifier: MIT */
/* Readiness of descriptors that are not Ouro's: sockets of another library, pipes, terminals.
 *
 * The descriptor stays the caller's. While it is watched the kernel holds its file: closing the
 * descriptor then neither ends the watch nor the file (a peer would not hear of it), and the next
 * file may get its number. So stop watching first; a stop is enough, nothing more is asked of the
 * descriptor after it. */
#ifndef OURO_POLL_H
#define OURO_POLL_H

#include <errno.h>
#include <poll.h>
#include <ouro/future.h>

OURO_BEGIN_DECLS

/* --- once --------------------------------------------------------------------------------------
 */

/* Waits until it is ready for `events` (POLLIN, POLLOUT, …): the result is the mask of poll(2). */
struct ouro_poll {
    struct ouro_op op;
};
OURO_API void ouro_poll_start(struct ouro_poll *p, int fd, short events);

static inline int ouro_poll(int fd, short events)
{
    struct ouro_poll p;

    ouro_poll_start(&p, fd, events);
    return ouro_await(&p.op.future);
}

/* --- sources -----------------------------------------------------------------------------------
 */

/* Watches a descriptor until it is closed. What becomes ready is gathered in one mask; `ready` is
 * DONE while there is something to take, or the end.
 *
 * By level, unless it was opened with OURO_POLL_EDGE: what is ready and was taken is reported
 * again, as long as it is ready, when the task that took it has waited for something. One operation
 * of the ring for each take, and what libraries made for poll(2) or select(2) expect.
 *
 * By edge: what is ready is reported once, and again when more comes (data, room, an error);
 * whoever takes it reads or writes until EAGAIN. One operation of the ring for all of it, re-armed
 * when the kernel ends it, which may report once more what was reported before.
 *
 * POLLERR and POLLHUP are reported whether or not they are among the events. One waiter at a time.
 * It is in flight, owned by the task that opened it, until closed; any task of the shard may
 * update, stop, and take; on another shard that gives -OURO_EOTHERSHARD, and a stop aborts. Declare
 * it with OURO_POLL_SOURCE in a fiber's frame. */
struct ouro_poll_source {
    struct ouro_op op;
    struct ouro_future ready;
    int fd;
    int32_t end;     /* -errno that ended it */
    uint16_t events; /* watched for */
    uint16_t mask;   /* came, and was not taken */
    uint8_t flags;
};

enum ouro_poll_flags {
    OURO_POLL_EDGE = 1,
};

/* Opens it and starts watching. Errors as a start; -EINVAL also for flags that are not known. What
 * the kernel refuses (-EBADF) ends the source, and is what the take gives. */
OURO_API OURO_NODISCARD int ouro_poll_source_open(struct ouro_poll_source *source, int fd,
                                                  short events, unsigned flags);

/* Takes the mask of what came since the last time: > 0, or -EAGAIN nothing yet, -ECANCELED the task
 * is cancelled or the source was stopped, else what ended it; -EBADF: it is not open. */
OURO_API int ouro_poll_take(struct ouro_poll_source *source);

/* Waits until there is something and takes it. */
static inline int ouro_poll_next(struct ouro_poll_source *source)
{
    int mask = ouro_poll_take(source);

    while (mask == -EAGAIN) {
        int error = ouro_await(&source->ready);

        if (error < 0)
            return error;
        mask = ouro_poll_take(source);
    }
    return mask;
}

/* From now on watches for other events (0: errors and hang-up only). What is ready at this time is
 * reported, by edge too, so that the same events may be given to look again; what came for others
 * and was not taken is forgotten. Never waits. 0, -OURO_ENOSHARD, -EINVAL (NULL), -EBADF it is not
 * open, or has ended. */
OURO_API int ouro_poll_source_update(struct ouro_poll_source *source, short events);

/* Stops watching and awaits the operation's end. A release; fiber only. A stackless task calls
 * ouro_poll_source_stop(), awaits &source->op.future, and calls it then. */
OURO_API int ouro_poll_source_close(struct ouro_poll_source *source);

/* Stops watching, without waiting: nothing more is reported, `ready` will be DONE and the take give
 * -ECANCELED. The memory stays the source's until it is closed. Nothing on one that has ended. */
OURO_API void ouro_poll_source_stop(struct ouro_poll_source *source);

/* Declares one that is closed on every way out of the block. */
#define OURO_POLL_SOURCE(name)                                                                     \
    struct ouro_poll_source name __attribute__((cleanup(ouro_poll_source_cleanup))) = {}

static inline void ouro_poll_source_cleanup(struct ouro_poll_source *source)
{
    ouro_poll_source_close(source);
}

OURO_END_DECLS

#endif
