/* SPDX-License-Identifier: MIT */
#include "support/net_support.h"

#include <dirent.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <time.h>

#include "shard/shard.h"

const char *const family_name[FAMILIES] = {"IPv4", "IPv6", "Unix"};

/* --- addresses ------------------------------------------------------------------------------- */

struct ouro_addr parsed(const char *text)
{
    struct ouro_addr a;
    struct ouro_addr_error error;

    if (ouro_addr_parse(&a, text, &error) != 0)
        must_fail(__FILE__, __LINE__, error.message);
    return a;
}

bool family_there(enum family f)
{
    struct ouro_addr a;
    int fd;

    if (f != V6)
        return true;
    a = parsed("[::1]:0");
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (bind(fd, &a.sa, a.len) != 0) {
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

struct ouro_addr any_addr(enum family f)
{
    static unsigned n;
    char text[160], name[32];

    if (f != UNIX)
        return parsed(f == V4 ? "127.0.0.1:0" : "[::1]:0");
    snprintf(name, sizeof name, "s%u", __atomic_fetch_add(&n, 1, __ATOMIC_RELAXED));
    snprintf(text, sizeof text, "unix:%s", temp_path(name));
    return parsed(text);
}

/* --- connections ----------------------------------------------------------------------------- */

ouro_listener listen_on(enum family f, struct ouro_addr *bound)
{
    struct ouro_addr a = any_addr(f);
    ouro_listener l;

    must_be(ouro_listen(&l, &a, NULL), 0);
    must_be(ouro_listener_addr(l, bound), 0);
    return l;
}

void pair_open(struct pair *p, enum family f)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(f, &bound);

    must_be(ouro_connect(&p->near, &bound, NULL, OURO_FOREVER), 0);
    must_be(ouro_accept(l, &p->far), 0);
    must_be(ouro_listener_close(l), 0);
}

void pair_close(struct pair *p)
{
    must_be(ouro_close(p->near), 0);
    must_be(ouro_close(p->far), 0);
}

static void set_int(int fd, int level, int option, int value)
{
    must_be(setsockopt(fd, level, option, &value, sizeof value), 0);
}

static void open_outside(struct outside *o, enum family f, bool small)
{
    struct ouro_listen_options options = {.size = sizeof options};
    struct ouro_addr a = any_addr(f), bound;
    ouro_listener l;

    if (small) {
        options.socket.size = sizeof options.socket;
        options.socket.send_buffer_bytes = options.socket.receive_buffer_bytes = 1;
    }
    must_be(ouro_listen(&l, &a, &options), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    o->fd = socket(ouro_addr_family(&bound), SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(o->fd >= 0);
    if (small) {
        set_int(o->fd, SOL_SOCKET, SO_RCVBUF, 1);
        set_int(o->fd, SOL_SOCKET, SO_SNDBUF, 1);
    }
    if (f != UNIX)
        set_int(o->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    must_be(connect(o->fd, &bound.sa, bound.len), 0);
    must_be(ouro_accept(l, &o->conn), 0);
    must_be(ouro_listener_close(l), 0);
}

void outside_open(struct outside *o, enum family f)
{
    open_outside(o, f, false);
}

void outside_open_small(struct outside *o, enum family f)
{
    open_outside(o, f, true);
}

void outside_close(struct outside *o)
{
    if (o->fd >= 0)
        close(o->fd);
    must_be(ouro_close(o->conn), 0);
}

int plain_connect(const struct ouro_addr *to)
{
    int fd = socket(ouro_addr_family(to), SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    must(fd >= 0);
    if (connect(fd, &to->sa, to->len) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

int plain_listen(enum family f, int backlog, struct ouro_addr *bound)
{
    struct ouro_addr a = any_addr(f);
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    int fd = socket(ouro_addr_family(&a), SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0);
    must_be(bind(fd, &a.sa, a.len), 0);
    must_be(listen(fd, backlog), 0);
    must_be(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    must_be(ouro_addr_from_sockaddr(bound, (struct sockaddr *)&ss, len), 0);
    return fd;
}

size_t plain_fill(int fd)
{
    static const char zeros[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = send(fd, zeros, sizeof zeros, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sum += (size_t)n;
    must_be(errno, EAGAIN);
    return sum;
}

void plain_send(int fd, const void *buf, size_t len)
{
    size_t at = 0;

    while (at < len) {
        ssize_t n = send(fd, (const char *)buf + at, len - at, MSG_NOSIGNAL);

        if (n <= 0)
            must_be(-errno, 0);
        at += (size_t)n;
    }
}

ssize_t plain_read(int fd, void *buf, size_t len)
{
    ssize_t n = recv(fd, buf, len, 0);

    return n < 0 ? -errno : n;
}

void plain_recv(int fd, void *buf, size_t len)
{
    size_t at = 0;

    while (at < len) {
        ssize_t n = plain_read(fd, (char *)buf + at, len - at);

        must(n > 0);
        at += (size_t)n;
    }
}

/* A sender that waits is woken when a good part of its buffer is free; a new one takes what little
 * there is. So it is blocked when a new one has moved nothing, after the time in which an answer
 * may be held back. */
size_t clog_up(ouro_conn conn)
{
    static const char zeros[65536];
    size_t sum = 0;
    unsigned blocked = 0;

    while (blocked < 3) {
        struct ouro_send s;
        int n;

        ouro_send_start(&s, conn, zeros, sizeof zeros);
        n = ouro_await_for(&s.op.future, blocked == 1 ? 50 * MS : 5 * MS);
        if (n == -ETIMEDOUT) {
            blocked++;
            continue;
        }
        must(n > 0);
        sum += (size_t)n;
        blocked = 0;
    }
    return sum;
}

/* --- the rest -------------------------------------------------------------------------------- */

void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t at)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < len; i++)
        p[i] = pattern_at(seed, at + i);
}

void pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t at)
{
    const uint8_t *p = buf;
    char text[160];

    for (size_t i = 0; i < len; i++)
        if (p[i] != pattern_at(seed, at + i)) {
            snprintf(text, sizeof text, "byte %llu of stream %llu is %u, not %u",
                     (unsigned long long)(at + i), (unsigned long long)seed, p[i],
                     pattern_at(seed, at + i));
            must_fail(__FILE__, __LINE__, text);
        }
}

static char directory[64];
static pid_t directory_owner; /* children leave it alone */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static void remove_directory(void)
{
    if (getpid() == directory_owner)
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temp_path(const char *name)
{
    static char text[16][128];
    static unsigned n;
    unsigned i = __atomic_fetch_add(&n, 1, __ATOMIC_RELAXED) % 16;
    const char *base = getenv("TMPDIR");

    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "%.40s/ouro-XXXXXX", base != NULL ? base : "/tmp");
        must(mkdtemp(directory) != NULL);
        directory_owner = getpid();
        must_be(atexit(remove_directory), 0);
    }
    snprintf(text[i], sizeof text[i], "%s/%.60s", directory, name);
    return text[i];
}

bool pools_whole(void)
{
    for (unsigned i = 0; i < 2; i++)
        if (shard_self->pools[i].in_ring != shard_self->pools[i].live)
            return false;
    return true;
}

struct ouro_counters counters_now(void)
{
    struct ouro_counters c;

    must_be(ouro_counters(&c), 0);
    return c;
}

void turns(unsigned how_many)
{
    uint64_t end = shard_self->counters.turns + how_many;

    while (shard_self->counters.turns < end)
        must_be(ouro_sleep_until(0), 0);
}

uint64_t test_seed(void)
{
    const char *given = getenv("OURO_TEST_SEED");
    struct timespec t;
    uint64_t seed;

    clock_gettime(CLOCK_REALTIME, &t);
    seed = given != NULL ? strtoull(given, NULL, 0)
                         : (uint64_t)t.tv_sec * 1000003 + (uint64_t)t.tv_nsec;
    printf("OURO_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
