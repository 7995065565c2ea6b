/* SPDX-License-Identifier: MIT */
/* Files, all through the ring. Starts behave as in ouro/net.h. Offsets are bytes; lengths over
 * INT32_MAX give -EINVAL. Opening, fsync, and writes on some file systems may be carried out by a
 * kernel worker thread (io-wq) that shares the shard's CPU. A read or fsync that the disk already
 * works on is not cut short by cancellation: the wait then ends when the kernel is done. */
#ifndef OURO_FILE_H
#define OURO_FILE_H

#include <fcntl.h>
#include <ouro/net.h>

OURO_BEGIN_DECLS

typedef struct ouro_file {
    uint64_t id;
} ouro_file;

/* Where relative paths begin: the process's current directory. No handle has this value, nor 0. */
#ifdef __cplusplus
#define OURO_CWD (ouro_file{1})
#else
#define OURO_CWD ((ouro_file){1})
#endif

/* Opens `path` (kept until DONE) as open(2) does; O_CLOEXEC is implied. The result is 0 and `file`
 * is set. For a FIFO it may or may not wait for the other end: the kernel tries without waiting
 * first when it has the name cached, and what that gives is the result (to write where nobody
 * reads: -ENXIO). Say O_NONBLOCK, or O_RDWR to need no other end.
 *
 * `dir` is where a relative path begins, as in openat(2): OURO_CWD, or a file opened with
 * O_DIRECTORY or O_PATH. Those (and O_TMPFILE) are ordinary descriptors, since the kernel looks up
 * no path from a direct one: any other file as `dir` gives -ENOTDIR where files are direct. */
struct ouro_open {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    const char *path;
    ouro_file dir;
    int flags;
    mode_t mode;
    bool direct, promised;
    ouro_file file;
};
OURO_API void ouro_open_start(struct ouro_open *o, const char *path, int flags, mode_t mode);
OURO_API int ouro_open(ouro_file *out, const char *path, int flags, mode_t mode);
OURO_API void ouro_open_at_start(struct ouro_open *o, ouro_file dir, const char *path, int flags,
                                 mode_t mode);
OURO_API int ouro_open_at(ouro_file *out, ouro_file dir, const char *path, int flags, mode_t mode);

/* Reads and writes some or all of it, at a byte of the file, or at OURO_STREAM: at the file's own
 * position, as read(2) and write(2), which also moves it. On what has no position (pipes,
 * terminals, eventfds, sockets) every offset says the same. Two operations at OURO_STREAM that are
 * in flight at once go in either order. -EINVAL: any other offset above INT64_MAX. */
#define OURO_STREAM UINT64_MAX
struct ouro_rw {
    struct ouro_op op;
};
OURO_API void ouro_read_start(struct ouro_rw *r, ouro_file file, void *buf, size_t len,
                              uint64_t offset);
OURO_API void ouro_write_start(struct ouro_rw *w, ouro_file file, const void *buf, size_t len,
                               uint64_t offset);
OURO_API void ouro_readv_start(struct ouro_rw *r, ouro_file file, const struct iovec *iov, size_t n,
                               uint64_t offset);
OURO_API void ouro_writev_start(struct ouro_rw *w, ouro_file file, const struct iovec *iov,
                                size_t n, uint64_t offset);
OURO_API void ouro_fsync_start(struct ouro_rw *s, ouro_file file);
OURO_API void ouro_fdatasync_start(struct ouro_rw *s, ouro_file file);

static inline ssize_t ouro_read(ouro_file file, void *buf, size_t len, uint64_t offset)
{
    struct ouro_rw r;

    ouro_read_start(&r, file, buf, len, offset);
    return ouro_await(&r.op.future);
}

static inline ssize_t ouro_write(ouro_file file, const void *buf, size_t len, uint64_t offset)
{
    struct ouro_rw w;

    ouro_write_start(&w, file, buf, len, offset);
    return ouro_await(&w.op.future);
}

static inline ssize_t ouro_readv(ouro_file file, const struct iovec *iov, size_t n, uint64_t offset)
{
    struct ouro_rw r;

    ouro_readv_start(&r, file, iov, n, offset);
    return ouro_await(&r.op.future);
}

static inline ssize_t ouro_writev(ouro_file file, const struct iovec *iov, size_t n,
                                  uint64_t offset)
{
    struct ouro_rw w;

    ouro_writev_start(&w, file, iov, n, offset);
    return ouro_await(&w.op.future);
}

static inline int ouro_fsync(ouro_file file)
{
    struct ouro_rw s;

    ouro_fsync_start(&s, file);
    return ouro_await(&s.op.future);
}

static inline int ouro_fdatasync(ouro_file file)
{
    struct ouro_rw s;

    ouro_fdatasync_start(&s, file);
    return ouro_await(&s.op.future);
}

/* As ouro_close_start; the fiber form waits for the kernel's close and returns its error. Only
 * ouro_fsync() says that all was written: the close of a direct descriptor does not flush as
 * close(2) does, and so hides what NFS or FUSE, say, would report there. */
OURO_API void ouro_file_close_start(struct ouro_close *c, ouro_file file);
OURO_API int ouro_file_close(ouro_file file);

/* --- pipes, terminals, any descriptor -----------------------------------------------------------
 */

/* Takes over an ordinary descriptor, whatever it is of: owned by Ouro from success on, and closed
 * by ouro_file_close(). O_NONBLOCK is taken from it (and so from every descriptor of the same open
 * file, such as a terminal that other processes have): what finds nothing to read, or no room,
 * waits in the kernel, without holding the shard, and is cut short by cancellation, deadlines and
 * close with -ECANCELED. Terminals and others whose driver does not know how to try without
 * blocking may hold a worker thread meanwhile (io-wq; options.iowq_unbounded of them per shard).
 * The end of a stream is 0 (a pipe's; a terminal's may be -EIO). Writing to a pipe that nobody
 * reads gives -EPIPE; SIGPIPE is blocked, unless options.leave_signals leaves that to the program.
 * Errors: -OURO_ENOSHARD, -EINVAL (NULL), -EBADF, -EMFILE: then it is still the caller's. */
OURO_API OURO_NODISCARD int ouro_file_adopt(ouro_file *out, int fd);

/* Gives a file out as an ordinary descriptor, as ouro_conn_give_out(): an adopted one is the
 * descriptor that it was. */
OURO_API int ouro_file_give_out(ouro_file file);

/* Opens a pipe: ends[0] is read from what ends[1] is written to. Does not wait. Errors:
 * -OURO_ENOSHARD, -EINVAL (NULL), -EMFILE, -ENFILE. */
OURO_API OURO_NODISCARD int ouro_pipe(ouro_file ends[2]);

OURO_END_DECLS

#endif
