/* SPDX-License-Identifier: MIT */
/* The file system: names, attributes, sizes, and whole files in one call. Starts behave as in
 * ouro/net.h, `dir` as in ouro/file.h; paths are kept until DONE, and a directory that is closed
 * meanwhile is closed after it.
 *
 * Who does the work. Except where said otherwise each of these is carried out by a worker thread of
 * the kernel (io-wq), which shares the shard's CPU: a system call's work and two switches.
 * Cancelled before a worker has taken it up, it gives -ECANCELED and nothing was done; a worker
 * that is at it ends it, the wait lasts until then, and the result says what came of it. Only what
 * a signal would interrupt is cut short: fallocate, which may then have been done in part, and
 * whatever waits for a file server. A deadline is a cancellation: ouro_await_until(). */
#ifndef OURO_FS_H
#define OURO_FS_H

#include <ouro/file.h>

OURO_BEGIN_DECLS

/* --- names ------------------------------------------------------------------------------------ */

/* unlinkat(2), mkdirat(2), symlinkat(2). The result is 0. Making something durable also takes an
 * ouro_fsync() of the directory that it is in. */
struct ouro_path {
    struct ouro_op op;
};
OURO_API void ouro_unlink_start(struct ouro_path *p, ouro_file dir, const char *path);
OURO_API void ouro_rmdir_start(struct ouro_path *p, ouro_file dir, const char *path);
OURO_API void ouro_mkdir_start(struct ouro_path *p, ouro_file dir, const char *path, mode_t mode);
OURO_API void ouro_symlink_start(struct ouro_path *p, const char *target, ouro_file dir,
                                 const char *path);

/* renameat2(2) with its flags (RENAME_NOREPLACE, RENAME_EXCHANGE), and linkat(2) with its
 * (AT_SYMLINK_FOLLOW). A call, as it holds two directories. The result is 0. */
struct ouro_rename {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    ouro_file from_dir, to_dir;
    const char *from, *to;
    unsigned flags;
    bool link;
};
OURO_API void ouro_rename_start(struct ouro_rename *r, ouro_file from_dir, const char *from,
                                ouro_file to_dir, const char *to, unsigned flags);
OURO_API void ouro_link_start(struct ouro_rename *r, ouro_file from_dir, const char *from,
                              ouro_file to_dir, const char *to, unsigned flags);

/* The text of a symbolic link, ended by a zero byte; the result is its length. -ERANGE: `size`
 * bytes are too few; -EINVAL: it is no link. The ring has no such operation: the link is looked up
 * through it, and its text read by the shard's own readlinkat(2), which holds the shard up where
 * the text is neither cached nor kept beside the link's attributes (long ones). */
struct ouro_readlink {
    struct ouro_op op;
    struct ouro_task task;
    union {
        struct ouro_open open;
        struct ouro_close close;
    } step;
    ouro_file dir;
    const char *path;
    char *buf;
    size_t size;
    int result;
};
OURO_API void ouro_readlink_start(struct ouro_readlink *r, ouro_file dir, const char *path,
                                  char *buf, size_t size);

static inline int ouro_unlink(ouro_file dir, const char *path)
{
    struct ouro_path p;

    ouro_unlink_start(&p, dir, path);
    return ouro_await(&p.op.future);
}

static inline int ouro_rmdir(ouro_file dir, const char *path)
{
    struct ouro_path p;

    ouro_rmdir_start(&p, dir, path);
    return ouro_await(&p.op.future);
}

static inline int ouro_mkdir(ouro_file dir, const char *path, mode_t mode)
{
    struct ouro_path p;

    ouro_mkdir_start(&p, dir, path, mode);
    return ouro_await(&p.op.future);
}

static inline int ouro_symlink(const char *target, ouro_file dir, const char *path)
{
    struct ouro_path p;

    ouro_symlink_start(&p, target, dir, path);
    return ouro_await(&p.op.future);
}

static inline int ouro_rename(ouro_file from_dir, const char *from, ouro_file to_dir,
                              const char *to, unsigned flags)
{
    struct ouro_rename r;

    ouro_rename_start(&r, from_dir, from, to_dir, to, flags);
    return ouro_await(&r.op.future);
}

static inline int ouro_link(ouro_file from_dir, const char *from, ouro_file to_dir, const char *to,
                            unsigned flags)
{
    struct ouro_rename r;

    ouro_link_start(&r, from_dir, from, to_dir, to, flags);
    return ouro_await(&r.op.future);
}

static inline int ouro_readlink(ouro_file dir, const char *path, char *buf, size_t size)
{
    struct ouro_readlink r;

    ouro_readlink_start(&r, dir, path, buf, size);
    return ouro_await(&r.op.future);
}

/* --- attributes --------------------------------------------------------------------------------
 */

/* What statx(2) tells. Times since 1970; what the file system does not know is 0. */
struct ouro_stat {
    uint64_t size;   /* bytes */
    uint64_t blocks; /* of 512 bytes, that are allocated */
    uint64_t ino, dev;
    int64_t atime_ns, mtime_ns, ctime_ns, birth_ns;
    uint32_t mode; /* type and permissions, as st_mode */
    uint32_t nlink, uid, gid;
    uint32_t dio_mem_align;    /* O_DIRECT: of the memory, in bytes; 0: not told, or impossible */
    uint32_t dio_offset_align; /* and of offset and length */
};

/* statx(2) of a path (flags: AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_STATX_…) and of an open file.
 * `st` is set when the result is 0, else zeroes. A direct descriptor is made an ordinary one for
 * the time: two operations more, and -EOPNOTSUPP where the ring cannot (no Linux is known on which
 * files are direct that cannot). */
struct ouro_stat_call {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    ouro_file at; /* the directory, or the file */
    const char *path;
    int flags, fd, result;
    struct ouro_stat st;
    uint64_t raw[32]; /* a struct statx, of which headers differ */
};
OURO_API void ouro_stat_start(struct ouro_stat_call *c, ouro_file dir, const char *path, int flags);
OURO_API void ouro_file_stat_start(struct ouro_stat_call *c, ouro_file file);

static inline int ouro_stat(ouro_file dir, const char *path, int flags, struct ouro_stat *out)
{
    struct ouro_stat_call c;
    int error;

    if (out == NULL)
        return -EINVAL;
    ouro_stat_start(&c, dir, path, flags);
    error = ouro_await(&c.op.future);
    *out = c.st;
    return error;
}

static inline int ouro_file_stat(ouro_file file, struct ouro_stat *out)
{
    struct ouro_stat_call c;
    int error;

    if (out == NULL)
        return -EINVAL;
    ouro_file_stat_start(&c, file);
    error = ouro_await(&c.op.future);
    *out = c.st;
    return error;
}

/* --- size and blocks ---------------------------------------------------------------------------
 */

/* Sets a file's size. Where the ring has no such operation (before Linux 6.9; files are ordinary
 * descriptors there) it is the shard's own ftruncate(2), DONE at once, which holds the shard up for
 * as long as it takes to free the blocks. -EOPNOTSUPP: no such operation, and yet a direct
 * descriptor, which no system call can name. */
OURO_API void ouro_ftruncate_start(struct ouro_rw *t, ouro_file file, uint64_t size);

/* fallocate(2) with its modes (<linux/falloc.h>): 0 reserves blocks and makes the file longer,
 * FALLOC_FL_KEEP_SIZE does not make it longer, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE gives
 * blocks back, FALLOC_FL_ZERO_RANGE makes them zeroes. -EOPNOTSUPP: not on this file system. */
OURO_API void ouro_fallocate_start(struct ouro_rw *a, ouro_file file, int mode, uint64_t offset,
                                   uint64_t len);

static inline int ouro_ftruncate(ouro_file file, uint64_t size)
{
    struct ouro_rw t;

    ouro_ftruncate_start(&t, file, size);
    return ouro_await(&t.op.future);
}

static inline int ouro_fallocate(ouro_file file, int mode, uint64_t offset, uint64_t len)
{
    struct ouro_rw a;

    ouro_fallocate_start(&a, file, mode, offset, len);
    return ouro_await(&a.op.future);
}

/* --- all of it ---------------------------------------------------------------------------------
 */

/* Reads or writes on until all of it has moved; reading also ends at the end of the file. The
 * result is the number of bytes; on an error `done` says how many had moved before it. Each step
 * is an ouro_read or ouro_write, from `offset` on, or at OURO_STREAM. A short direct read leaves an
 * offset at which no other can begin: where the file ends in the middle of a block that is -EINVAL,
 * and `done` is right. */
struct ouro_full {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_rw step;
    ouro_file file;
    char *data;
    size_t len, done;
    uint64_t offset;
    bool write;
};
OURO_API void ouro_read_full_start(struct ouro_full *f, ouro_file file, void *buf, size_t len,
                                   uint64_t offset);
OURO_API void ouro_write_full_start(struct ouro_full *f, ouro_file file, const void *buf,
                                    size_t len, uint64_t offset);

static inline ssize_t ouro_read_full(ouro_file file, void *buf, size_t len, uint64_t offset)
{
    struct ouro_full f;

    ouro_read_full_start(&f, file, buf, len, offset);
    return ouro_await(&f.op.future);
}

static inline ssize_t ouro_write_full(ouro_file file, const void *buf, size_t len, uint64_t offset)
{
    struct ouro_full f;

    ouro_write_full_start(&f, file, buf, len, offset);
    return ouro_await(&f.op.future);
}

/* Reads a whole file into memory: until its end, whatever its size is said to be (0 in /proc), and
 * though it grows or shrinks meanwhile. When the result is 0, `data` is malloc'ed and the caller's
 * to free(), and a zero byte follows its `len` bytes; else NULL. -EFBIG: more than `max_bytes`,
 * which is at most INT32_MAX - 1; -ENOMEM. Cancelled at any step, it closes the file first. */
struct ouro_read_all {
    struct ouro_op op;
    struct ouro_task task;
    union {
        struct ouro_open open;
        struct ouro_rw rw;
        struct ouro_close close;
    } step;
    ouro_file at; /* the directory, then the file */
    const char *path;
    size_t max_bytes, room;
    int result;
    char *data;
    size_t len;
};
OURO_API void ouro_file_read_all_start(struct ouro_read_all *r, ouro_file dir, const char *path,
                                       size_t max_bytes);
OURO_API int ouro_file_read_all(ouro_file dir, const char *path, size_t max_bytes, void **data,
                                size_t *len);

enum ouro_write_flags {
    OURO_WRITE_NEW = 1,  /* -EEXIST when there is something of this name */
    OURO_WRITE_SYNC = 2, /* fsync before the close; the name takes one of the directory besides */
};

/* Creates a file (with `mode`, less the umask) or empties it, and writes all of `data` into it. The
 * result is 0. On an error, and cancelled, it is closed and left with what was written; `done` says
 * how much. */
struct ouro_write_all {
    struct ouro_op op;
    struct ouro_task task;
    union {
        struct ouro_open open;
        struct ouro_full full;
        struct ouro_rw rw;
        struct ouro_close close;
    } step;
    ouro_file at; /* the directory, then the file */
    const char *path;
    const void *data;
    size_t len, done;
    unsigned flags;
    mode_t mode;
    int result;
};
OURO_API void ouro_file_write_all_start(struct ouro_write_all *w, ouro_file dir, const char *path,
                                        const void *data, size_t len, unsigned flags, mode_t mode);

/* The same so that others see the old file or the whole new one, also after a crash: written under
 * another name in the same directory, fsync, rename, fsync of the directory. The result is 0 when
 * all that is durable. On an error, and cancelled, the old file is as it was and the other name
 * gone again (which is not cut short); or the new file is there whole, and only not known to be
 * durable. A new file: owner, mode, attributes and other links of the old one are not kept, and a
 * symbolic link is replaced, not what it leads to. Flags: OURO_WRITE_NEW. -EISDIR: the path ends
 * with '/'. A crash may leave the other name: OURO_TEMP_PREFIX and hexadecimal digits. */
#define OURO_TEMP_PREFIX     ".ouro-"
#define OURO_TEMP_NAME_BYTES 24 /* a name, with its zero byte */

struct ouro_replace {
    struct ouro_op op;
    struct ouro_task task;
    union {
        struct ouro_open open;
        struct ouro_write_all write;
        struct ouro_rename rename;
        struct ouro_rw rw;
        struct ouro_path path;
        struct ouro_close close;
    } step;
    ouro_file at; /* where the path begins, then the directory that the file is in */
    const char *name;
    const void *data;
    size_t len;
    unsigned flags, tries;
    mode_t mode;
    int result;
    char *parent;
    char temp[OURO_TEMP_NAME_BYTES];
};
OURO_API void ouro_file_replace_start(struct ouro_replace *r, ouro_file dir, const char *path,
                                      const void *data, size_t len, unsigned flags, mode_t mode);

static inline int ouro_file_write_all(ouro_file dir, const char *path, const void *data, size_t len,
                                      unsigned flags, mode_t mode)
{
    struct ouro_write_all w;

    ouro_file_write_all_start(&w, dir, path, data, len, flags, mode);
    return ouro_await(&w.op.future);
}

static inline int ouro_file_replace(ouro_file dir, const char *path, const void *data, size_t len,
                                    unsigned flags, mode_t mode)
{
    struct ouro_replace r;

    ouro_file_replace_start(&r, dir, path, data, len, flags, mode);
    return ouro_await(&r.op.future);
}

/* --- temporary files ---------------------------------------------------------------------------
 */

/* A new file in the directory `dir`, open for reading and writing, of mode 0600. Unnamed, it
 * vanishes with its close (O_TMPFILE; where the file system has none it has a name for a moment,
 * which is taken away again whatever happens). Named, it is called `name`, which nobody had;
 * renaming and removing it are the caller's. When the result is 0 `file`, and `name` of a named
 * one, are set. */
struct ouro_temp {
    struct ouro_op op;
    struct ouro_task task;
    union {
        struct ouro_open open;
        struct ouro_path path;
        struct ouro_close close;
    } step;
    ouro_file dir, file;
    bool named;
    unsigned tries;
    int result;
    char name[OURO_TEMP_NAME_BYTES];
};
OURO_API void ouro_temp_start(struct ouro_temp *t, ouro_file dir);
OURO_API void ouro_temp_named_start(struct ouro_temp *t, ouro_file dir);
OURO_API int ouro_temp_open(ouro_file *out, ouro_file dir);
OURO_API int ouro_temp_named(ouro_file *out, ouro_file dir, char name[OURO_TEMP_NAME_BYTES]);

OURO_END_DECLS

#endif
