/* SPDX-License-Identifier: MIT */
#include "support/fake_inside.h"

#include <fcntl.h>
#include <poll.h>

unsigned fake_files_alive;

static struct fake_listener {
    struct fake_listener *next;
    struct fake_file *waiting;
    struct fake_address bound;
    int fd;
} * listeners;

static struct {
    struct fake_file **entry;
    unsigned n, hint, real;
} table;

/* --- life ------------------------------------------------------------------------------------- */

static struct fake_file *make(enum fake_kind kind)
{
    struct fake_file *f = calloc(1, sizeof *f);

    fake_ensure(f != NULL);
    f->kind = kind;
    f->holders = 1;
    f->fd = -1;
    fake_files_alive++;
    return f;
}

struct fake_file *fake_real(int fd, bool owned)
{
    struct fake_file *f = make(FAKE_REAL);

    f->fd = fd;
    f->owned = owned;
    return f;
}

struct fake_file *fake_socket(int family, int type)
{
    struct fake_file *f = make(FAKE_SOCKET);

    f->family = family;
    f->type = type;
    f->in = malloc(PIPE_BYTES);
    fake_ensure(f->in != NULL);
    return f;
}

void fake_hold(struct fake_file *f)
{
    f->holders++;
}

/* The peer reads what was sent, then the end; unread bytes make that a reset. */
static void leave_peer(struct fake_file *f)
{
    if (f->peer == NULL)
        return;
    f->peer->in_ended = true;
    f->peer->reset = f->in_bytes != 0;
    f->peer->peer = NULL;
}

void fake_release(struct fake_file *f)
{
    if (f == NULL || --f->holders != 0)
        return;
    leave_peer(f);
    if (f->kind == FAKE_REAL && f->owned)
        close(f->fd);
    free(f->in);
    free(f);
    fake_files_alive--;
}

int fake_make_real(struct fake_file *f)
{
    int fd = socket(f->family, f->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    f->kind = FAKE_REAL;
    f->fd = fd;
    f->owned = true;
    table.real++;
    return 0;
}

/* --- connecting ------------------------------------------------------------------------------- */

static bool same(const struct fake_address *a, const struct fake_address *b)
{
    return a->len == b->len && memcmp(&a->sockaddr, &b->sockaddr, a->len) == 0;
}

void fake_listener_add(int fd, struct fake_address *bound)
{
    struct fake_listener *l = listeners;

    memset(bound, 0, sizeof *bound);
    bound->len = sizeof bound->sockaddr;
    if (getsockname(fd, (struct sockaddr *)&bound->sockaddr, &bound->len) != 0)
        return;
    while (l != NULL && l->fd != fd)
        l = l->next;
    if (l != NULL && same(&l->bound, bound))
        return;
    fake_listener_remove(fd); /* it was closed behind the ring's back */
    l = calloc(1, sizeof *l);
    fake_ensure(l != NULL);
    l->fd = fd;
    l->bound = *bound;
    l->next = listeners;
    listeners = l;
}

void fake_listener_remove(int fd)
{
    struct fake_listener **at = &listeners, *l;

    while (*at != NULL && (*at)->fd != fd)
        at = &(*at)->next;
    l = *at;
    if (l == NULL)
        return;
    *at = l->next;
    while (l->waiting != NULL) {
        struct fake_file *f = l->waiting;

        l->waiting = f->queue_next;
        f->in_bytes = 1; /* nobody ever reads it: a reset */
        fake_release(f);
    }
    free(l);
}

static struct fake_listener *listener_at(const struct fake_address *a)
{
    struct fake_listener *l = listeners;

    while (l != NULL && !same(&l->bound, a))
        l = l->next;
    return l;
}

int fake_connect(struct fake_file *f, const struct fake_address *to)
{
    struct fake_listener *l = listener_at(to);
    struct fake_file *far, **at;

    if (f->connected)
        return -EISCONN;
    if (l == NULL)
        return -ECONNREFUSED;
    far = fake_socket(f->family, f->type);
    far->peer = f;
    f->peer = far;
    f->connected = far->connected = true;
    for (at = &l->waiting; *at != NULL; at = &(*at)->queue_next)
        continue;
    *at = far;
    return 0;
}

struct fake_file *fake_accept(const struct fake_address *bound)
{
    struct fake_listener *l = listener_at(bound);
    struct fake_file *f = l != NULL ? l->waiting : NULL;

    if (f != NULL)
        l->waiting = f->queue_next;
    return f;
}

/* --- bytes ------------------------------------------------------------------------------------ */

__attribute__((no_sanitize("address"))) void fake_copy(char *to, const char *from, size_t n)
{
    volatile char *out = to;

    for (size_t i = 0; i < n; i++)
        out[i] = from[i];
}

static size_t pipe_take(struct fake_file *f, char *to, size_t n)
{
    size_t sum = 0;

    while (sum < n && f->in_bytes != 0) {
        size_t part = PIPE_BYTES - f->in_at;

        part = part < f->in_bytes ? part : f->in_bytes;
        part = part < n - sum ? part : n - sum;
        fake_copy(to + sum, f->in + f->in_at, part);
        f->in_at = (f->in_at + part) % PIPE_BYTES;
        f->in_bytes -= part;
        sum += part;
    }
    return sum;
}

static size_t pipe_put(struct fake_file *f, const char *from, size_t n)
{
    size_t sum = 0;

    while (sum < n && f->in_bytes != PIPE_BYTES) {
        size_t at = (f->in_at + f->in_bytes) % PIPE_BYTES;
        size_t part = at < f->in_at ? f->in_at - at : PIPE_BYTES - at;

        part = part < n - sum ? part : n - sum;
        fake_copy(f->in + at, from + sum, part);
        f->in_bytes += part;
        sum += part;
    }
    return sum;
}

ssize_t fake_receive(struct fake_file *f, const struct iovec *iov, size_t n)
{
    size_t sum = 0;

    if (!f->connected)
        return -ENOTCONN;
    if (f->in_bytes == 0)
        return f->reset ? -ECONNRESET : f->in_ended ? 0 : -EAGAIN;
    for (size_t i = 0; i < n; i++)
        sum += pipe_take(f, iov[i].iov_base, iov[i].iov_len);
    return (ssize_t)sum;
}

ssize_t fake_send(struct fake_file *f, const struct iovec *iov, size_t n)
{
    size_t sum = 0, asked = 0;

    if (f->out_ended || f->peer == NULL)
        return f->reset ? -ECONNRESET : -EPIPE;
    for (size_t i = 0; i < n; i++) {
        asked += iov[i].iov_len;
        sum += pipe_put(f->peer, iov[i].iov_base, iov[i].iov_len);
    }
    return sum == 0 && asked != 0 ? -EAGAIN : (ssize_t)sum;
}

int fake_shutdown(struct fake_file *f, int how)
{
    if (!f->connected)
        return -ENOTCONN;
    if (how != SHUT_RD) {
        f->out_ended = true;
        if (f->peer != NULL)
            f->peer->in_ended = true;
    }
    if (how != SHUT_WR)
        f->in_ended = true;
    return 0;
}

short fake_events(const struct fake_file *f)
{
    short events = 0;

    if (f->in_bytes != 0 || f->in_ended)
        events |= POLLIN;
    if (f->peer != NULL && f->peer->in_bytes < PIPE_BYTES)
        events |= POLLOUT;
    if (f->connected && f->peer == NULL)
        events |= POLLHUP;
    return events;
}

/* --- direct descriptors ----------------------------------------------------------------------- */

int fake_table_make(unsigned n)
{
    if (table.entry != NULL)
        return -EBUSY;
    table.entry = calloc(n, sizeof(struct fake_file *));
    table.n = n;
    table.hint = table.real = 0;
    return table.entry != NULL ? 0 : -ENOMEM;
}

void fake_table_drop(void)
{
    for (unsigned i = 0; i < table.n; i++)
        fake_release(table.entry[i]);
    free(table.entry);
    memset(&table, 0, sizeof table);
    while (listeners != NULL)
        fake_listener_remove(listeners->fd);
}

int fake_table_set(unsigned entry, struct fake_file *f)
{
    if (entry >= table.n || table.entry[entry] != NULL) {
        fake_release(f);
        return -EINVAL;
    }
    table.entry[entry] = f;
    table.real += f->kind == FAKE_REAL;
    return 0;
}

int fake_table_put(struct fake_file *f)
{
    for (unsigned i = 0; i < table.n; i++) {
        unsigned entry = (table.hint + i) % table.n;

        if (table.entry[entry] == NULL) {
            table.hint = (entry + 1) % table.n;
            fake_table_set(entry, f);
            return (int)entry;
        }
    }
    fake_release(f);
    return -ENFILE;
}

struct fake_file *fake_table_get(unsigned entry)
{
    return entry < table.n ? table.entry[entry] : NULL;
}

/* As in the kernel the entry is the next to be given out. */
int fake_table_close(unsigned entry)
{
    struct fake_file *f = fake_table_get(entry);

    if (f == NULL)
        return -EBADF;
    table.entry[entry] = NULL;
    table.real -= f->kind == FAKE_REAL;
    table.hint = entry;
    fake_release(f);
    return 0;
}

bool fake_table_has_real(void)
{
    return table.real != 0;
}
