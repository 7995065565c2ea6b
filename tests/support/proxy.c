/* SPDX-License-Identifier: MIT */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#define TIME_LIMIT_S 20

/* --- the program ---------------------------------------- */

static const char *program(void)
{
    static char path[4096];
    const char *bin = getenv("OURO_BIN");

    if (bin == NULL) {
        fprintf(stderr, "OURO_BIN does not say where ouro-proxy is\n");
        exit(77);
    }
    snprintf(path, sizeof path, "%s/ouro-proxy", bin);
    return path;
}

static _Noreturn void run_program(const char *path, char *options, int out, int err)
{
    static char name[] = "ouro-proxy";
    char *argv[64] = {name}, *rest = options, *word;
    size_t n = 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while ((word = strsep(&rest, " ")) != NULL && n < 63)
        if (*word != '\0')
            argv[n++] = word;
    if (dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0)
        execv(path, argv);
    _exit(127);
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned n = 0;

    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

void proxy_start(struct proxy *p, const char *format, ...)
{
    const char *path = program(), *colon;
    char options[2048];
    unsigned listeners;
    int out[2];
    va_list args;

    va_start(args, format);
    must(vsnprintf(options, sizeof options, format, args) < (int)sizeof options);
    va_end(args);
    listeners = count_of(options, "--listen");
    *p = (struct proxy){.err = memfd_create("stderr", MFD_CLOEXEC)};
    must(p->err >= 0 && pipe2(out, O_CLOEXEC) == 0);
    fflush(NULL);
    p->pid = fork();
    must(p->pid >= 0);
    if (p->pid == 0)
        run_program(path, options, out[1], p->err);
    close(out[1]);
    p->out = out[0];
    while (listeners-- != 0) {
        colon = strrchr(proxy_line(p), ':');
        must(strncmp(p->line, "listening on ", 13) == 0);
        if (p->port == 0 && colon != NULL)
            p->port = atoi(colon + 1);
    }
}

/* False at the end of the stream. */
static bool read_line(struct proxy *p)
{
    struct pollfd ready = {.fd = p->out, .events = POLLIN};
    size_t n = 0;
    ssize_t got;

    do {
        must(n < sizeof p->line - 1);
        must_be(poll(&ready, 1, TIME_LIMIT_S * 1000), 1);
        got = read(p->out, &p->line[n], 1);
        must(got >= 0);
        n += (size_t)got;
    } while (got != 0 && p->line[n - 1] != '\n');
    p->line[n - (got != 0)] = '\0';
    return n != 0;
}

static void show_errors(struct proxy *p)
{
    char text[4096];
    ssize_t n = pread(p->err, text, sizeof text, 0);

    if (n > 0)
        fprintf(stderr, "it said:\n%.*s\n", (int)n, text);
}

const char *proxy_line(struct proxy *p)
{
    if (!read_line(p)) {
        show_errors(p);
        must_fail(__FILE__, __LINE__, "the proxy says something");
    }
    return p->line;
}

uint64_t proxy_counter(struct proxy *p, const char *name)
{
    char key[64];
    const char *at;

    must(kill(p->pid, SIGUSR1) == 0);
    while (strncmp(proxy_line(p), "total:", 6) != 0)
        continue;
    snprintf(key, sizeof key, " %s=", name);
    at = strstr(p->line, key);
    must(at != NULL);
    return strtoull(at + strlen(key), NULL, 10);
}

static char *slurp(int fd, bool seekable)
{
    size_t bytes = 0, room = 1024;
    char *text = malloc(room);
    ssize_t n;

    must(text != NULL);
    if (seekable)
        lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, text + bytes, room - bytes - 1)) > 0) {
        bytes += (size_t)n;
        if (room - bytes < 512)
            must((text = realloc(text, room *= 2)) != NULL);
    }
    text[bytes] = '\0';
    close(fd);
    return text;
}

int proxy_wait(struct proxy *p)
{
    int status = 0;

    for (unsigned i = 0; waitpid(p->pid, &status, WNOHANG) == 0; i++) {
        if (i == TIME_LIMIT_S * 500) {
            show_errors(p);
            kill(p->pid, SIGKILL);
            must_fail(__FILE__, __LINE__, "the proxy ends");
        }
        usleep(2000);
    }
    p->said = slurp(p->out, false);
    p->errors = slurp(p->err, true);
    if (!WIFEXITED(status)) {
        fprintf(stderr, "ended by signal %d; it said:\n%s\n", WTERMSIG(status), p->errors);
        must_fail(__FILE__, __LINE__, "the proxy exits");
    }
    return WEXITSTATUS(status);
}

static bool only_backends(const char *text)
{
    while (*text != '\0') {
        const char *end = strchr(text, '\n');

        if (strncmp(text, "ouro-proxy: shard ", 18) != 0 || strstr(text, "backend") == NULL)
            return false;
        text = end != NULL ? end + 1 : "";
    }
    return true;
}

void proxy_stop(struct proxy *p)
{
    int status;

    must(kill(p->pid, SIGTERM) == 0);
    status = proxy_wait(p);
    if (status != 0 || !only_backends(p->errors))
        fprintf(stderr, "it said:\n%s\n", p->errors);
    must_be(status, 0);
    must(only_backends(p->errors));
    proxy_free(p);
}

void proxy_free(struct proxy *p)
{
    free(p->said);
    free(p->errors);
    p->said = p->errors = NULL;
}

long proxy_memory_kib(const struct proxy *p)
{
    char path[64], line[256];
    long kib = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    f = fopen(path, "r");
    must(f != NULL);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    fclose(f);
    return kib;
}

unsigned proxy_descriptors(const struct proxy *p)
{
    char path[64];
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
    d = opendir(path);
    must(d != NULL);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

/* --- sockets ---------------------------------------- */

static int limited(int fd)
{
    const struct timeval limit = {.tv_sec = TIME_LIMIT_S};

    must(fd >= 0);
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    return fd;
}

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
}

static int tcp_bound(int *port)
{
    int fd = limited(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), on = 1;
    struct sockaddr_in a = local(*port);
    socklen_t len = sizeof a;

    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    must(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

int tcp_listen(int *port, int backlog)
{
    int fd = tcp_bound(port);

    must(listen(fd, backlog) == 0);
    return fd;
}

int tcp_dead_port(int *fd)
{
    int port = 0;

    *fd = tcp_bound(&port);
    return port;
}

int tcp_connect_from(const char *source, int port)
{
    int fd = limited(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_in a = local(0);

    must(inet_pton(AF_INET, source, &a.sin_addr) == 1);
    must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    a = local(port);
    must(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

int tcp_connect(int port)
{
    return tcp_connect_from("127.0.0.1", port);
}

int tcp_accept(int listener)
{
    return limited(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

static struct sockaddr_un named(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

int unix_listen(const char *path)
{
    int fd = limited(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_un a = named(path);

    must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    must(listen(fd, 128) == 0);
    return fd;
}

int unix_connect(const char *path)
{
    int fd = limited(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_un a = named(path);

    must(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* Byte number i of every stream. */
static unsigned char pattern(uint64_t i)
{
    return (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

void put(int fd, uint64_t offset, size_t n)
{
    unsigned char buf[16384];
    ssize_t sent;

    while (n != 0) {
        size_t some = n < sizeof buf ? n : sizeof buf;

        for (size_t i = 0; i < some; i++)
            buf[i] = pattern(offset + i);
        sent = send(fd, buf, some, MSG_NOSIGNAL);
        must(sent > 0);
        offset += (size_t)sent;
        n -= (size_t)sent;
    }
}

void get(int fd, uint64_t offset, size_t n)
{
    unsigned char buf[16384];
    ssize_t got;

    while (n != 0) {
        got = recv(fd, buf, n < sizeof buf ? n : sizeof buf, 0);
        if (got <= 0) {
            must_be(got < 0 ? -errno : 0, n);
            return;
        }
        for (ssize_t i = 0; i < got; i++)
            if (buf[i] != pattern(offset + (uint64_t)i))
                must_fail(__FILE__, __LINE__, "bytes arrive as they were sent");
        offset += (size_t)got;
        n -= (size_t)got;
    }
}

void get_end(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);

    must_be(n < 0 ? -errno : n, 0);
}

void get_reset(int fd)
{
    char buf[4096];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        continue;
    must_be(n < 0 ? -errno : 0, -ECONNRESET);
}

void close_reset(int fd)
{
    const struct linger now = {.l_onoff = 1};

    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(fd);
}

static void *put_thread(void *arg)
{
    struct transfer *t = arg;

    put(t->fd, t->offset, t->n);
    if (t->end)
        must(shutdown(t->fd, SHUT_WR) == 0);
    return NULL;
}

static void *get_thread(void *arg)
{
    struct transfer *t = arg;

    get(t->fd, t->offset, t->n);
    if (t->end)
        get_end(t->fd);
    return NULL;
}

static void transfer_start(struct transfer *t, void *(*fn)(void *), int fd, uint64_t offset,
                           size_t n, bool end)
{
    *t = (struct transfer){.fd = fd, .offset = offset, .n = n, .end = end};
    must(pthread_create(&t->thread, NULL, fn, t) == 0);
}

void put_start(struct transfer *t, int fd, uint64_t offset, size_t n, bool end)
{
    transfer_start(t, put_thread, fd, offset, n, end);
}

void get_start(struct transfer *t, int fd, uint64_t offset, size_t n, bool end)
{
    transfer_start(t, get_thread, fd, offset, n, end);
}

void transfer_join(struct transfer *t)
{
    must(pthread_join(t->thread, NULL) == 0);
}
