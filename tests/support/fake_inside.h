/* SPDX-License-Identifier: MIT */
/* Between the parts of the fake kernel: see fake_kernel.h. */
#ifndef SUPPORT_FAKE_INSIDE_H
#define SUPPORT_FAKE_INSIDE_H

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define fake_ensure(cond)                                                                          \
    ((cond) ? (void)0                                                                              \
            : (fprintf(stderr, "%s:%d: fake kernel: %s\n", __FILE__, __LINE__, #cond), abort()))

/* --- files ------------------------------------------------------------------------------------ */

#define PIPE_BYTES (64u << 10)

enum fake_kind {
    FAKE_REAL,   /* a real descriptor */
    FAKE_SOCKET, /* one end of a connection in memory */
    FAKE_ARRAY,  /* a file in memory */
};

struct fake_address {
    socklen_t len;
    struct sockaddr_storage sockaddr;
};

struct fake_array {
    struct fake_array *next;
    char *bytes;
    size_t size, room;
    char path[100];
};

/* What a descriptor stands for. Held by the table and by each request on it; the last one closes.
 */
struct fake_file {
    enum fake_kind kind;
    unsigned holders;

    int fd; /* FAKE_REAL */
    bool owned;

    int family, type; /* FAKE_SOCKET */
    struct fake_file *peer;
    char *in; /* a circle of PIPE_BYTES, from the first byte on */
    size_t in_at, in_bytes;
    bool connected, in_ended, out_ended, reset;
    struct fake_file *queue_next; /* waiting to be accepted at `to` */
    struct fake_address to;

    struct fake_array *array; /* FAKE_ARRAY */
};

struct fake_file *fake_real(int fd, bool owned);
struct fake_file *fake_socket(int family, int type);
struct fake_file *fake_open_array(const char *path, int flags, int *error);
void fake_arrays_forget(void);
void fake_hold(struct fake_file *f);
void fake_release(struct fake_file *f);

/* The library forbids itself to touch buffers that are the kernel's: this is the kernel. Nor may
 * the C library's functions move bytes, which a sanitizer watches. */
void fake_copy(char *to, const char *from, size_t n);

/* Moves bytes: how many, 0 at the end, -EAGAIN: none can be now, or another -errno. */
ssize_t fake_receive(struct fake_file *f, const struct iovec *iov, size_t n);
ssize_t fake_send(struct fake_file *f, const struct iovec *iov, size_t n);
ssize_t fake_read_array(struct fake_file *f, const struct iovec *iov, size_t n, uint64_t at);
ssize_t fake_write_array(struct fake_file *f, const struct iovec *iov, size_t n, uint64_t at);
int fake_shutdown(struct fake_file *f, int how);
short fake_events(const struct fake_file *f); /* of poll(2) */

/* Listeners are real descriptors that somebody accepts from. */
void fake_listener_add(int fd, struct fake_address *bound);
void fake_listener_remove(int fd);

/* 0: connected, and waits to be accepted; -ECONNREFUSED: there is no such listener here. */
int fake_connect(struct fake_file *f, const struct fake_address *to);
struct fake_file *fake_accept(const struct fake_address *bound);

/* Makes a socket in memory a real one, for a peer or an address outside of the ring. */
int fake_make_real(struct fake_file *f);

/* The table of direct descriptors. */
int fake_table_make(unsigned n);
void fake_table_drop(void);
int fake_table_put(struct fake_file *f); /* its entry, or -ENFILE; takes over the caller's hold */
int fake_table_set(unsigned entry, struct fake_file *f);
struct fake_file *fake_table_get(unsigned entry);
int fake_table_close(unsigned entry);
bool fake_table_has_real(void);

/* --- requests --------------------------------------------------------------------------------- */

struct fake_request {
    struct fake_request *next;
    struct io_uring_sqe sqe;
    struct fake_file *file;
    struct fake_address address; /* of a listener */
    size_t done;                 /* bytes of a send that goes on */
    int edges;                   /* epoll instance of a poll that completes many times, or -1 */
    bool started, over;
};

#define FAKE_AGAIN INT_MIN /* cannot be completed now */

void fake_request_take(const struct io_uring_sqe *sqe);
bool fake_request_supported(unsigned opcode);

/* Carries out what can be. */
void fake_requests_go_on(void);
void fake_requests_drop(void);

/* One step of a request (fake_execute.c): its result, or FAKE_AGAIN. */
int fake_execute(struct fake_request *r);
int fake_cancel(const struct io_uring_sqe *sqe);

/* Waits for something real: 0, -ETIME, -EINTR. UINT64_MAX: as long as it takes. */
int fake_wait(uint64_t ns);
extern struct fake_request *fake_pending;

/* --- the ring --------------------------------------------------------------------------------- */

void fake_post(uint64_t user_data, int result, unsigned flags);

/* The next provided buffer of a group, NULL: none. fake_buffer_used() takes it out. */
const struct io_uring_buf *fake_buffer(unsigned group);
void fake_buffer_used(unsigned group);

/* A count of what must be given back. */
extern unsigned fake_files_alive;

#endif
