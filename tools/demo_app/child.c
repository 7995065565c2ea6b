/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROXY      "ouro-proxy"
#define PATH_BYTES 4096
#define PATIENCE   3 /* signals, a second apart, before SIGKILL */

/* --- the child's side ------------------------------------------------------------------------ */

/* The program that lies beside this one. */
static int beside(char *path, size_t n, const char *name)
{
    ssize_t len = readlink("/proc/self/exe", path, n - 1);
    char *slash;

    if (len < 0)
        return -errno;
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash + 1 - path) + strlen(name) >= n)
        return -ENAMETOOLONG;
    snprintf(slash + 1, n - (size_t)(slash + 1 - path), "%s", name);
    return 0;
}

/* A line, from a pipe to which one is written at once; false: the parent gave up. */
static bool read_line(int fd, char *line, size_t n)
{
    ssize_t got = read(fd, line, n - 1);

    if (got <= 0 || line[got - 1] != '\n')
        return false;
    line[got - 1] = '\0';
    return true;
}

/* What the command line says about shards, again. */
static void shard_arguments(char **argv, const struct ouro_options *o)
{
    static char shards[16];
    size_t n = 0;

    if (o->shards != 0) {
        snprintf(shards, sizeof shards, "%u", o->shards);
        argv[n++] = (char *)"--shards";
        argv[n++] = shards;
    }
    if (o->cpus != NULL) {
        argv[n++] = (char *)"--cpus";
        argv[n++] = (char *)o->cpus;
    }
    if (o->oversubscribe)
        argv[n] = (char *)"--oversubscribe";
}

static _Noreturn void become_proxy(int orders, int said, pid_t parent, const char *listen,
                                   const struct ouro_options *o)
{
    char path[PATH_BYTES] = PROXY, backend[OURO_ADDR_STRLEN + 1];
    char *argv[16] = {(char *)PROXY, (char *)"--listen",        (char *)listen, (char *)"--backend",
                      backend,       (char *)"--drain-timeout", (char *)"1s"};
    int error;

    shard_arguments(argv + 7, o);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || !read_line(orders, backend, sizeof backend))
        _exit(0);
    dup2(said, STDOUT_FILENO);
    error = beside(path, sizeof path, PROXY);
    if (error == 0) {
        execv(path, argv);
        error = -errno;
    }
    dprintf(STDERR_FILENO, "ouro-demo: cannot run %s: %s\n", path, ouro_strerror(error));
    _exit(127);
}

/* --- the parent's side ----------------------------------------------------------------------- */

int child_fork(struct child *c, const char *listen, const struct ouro_options *o)
{
    int orders[2], said[2];
    pid_t parent = getpid();

    *c = (struct child){.pidfd = -1, .orders = -1, .said = -1};
    if (pipe2(orders, O_CLOEXEC) != 0 || pipe2(said, O_CLOEXEC) != 0)
        return -errno;
    c->orders = orders[1];
    c->said = said[0];
    fcntl(c->said, F_SETFL, O_NONBLOCK);
    c->pid = fork();
    if (c->pid < 0) {
        c->pid = 0;
        return -errno;
    }
    if (c->pid == 0) {
        close(orders[1]); /* or it would wait for itself */
        become_proxy(orders[0], said[1], parent, listen, o);
    }
    close(orders[0]);
    close(said[1]);
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    return c->pidfd < 0 ? -errno : 0;
}

int child_start(struct child *c, const struct ouro_addr *backend)
{
    char line[OURO_ADDR_STRLEN + 1];
    int n = ouro_addr_format(backend, line, sizeof line - 1);
    ssize_t written;

    if (n < 0)
        return n;
    line[n] = '\n';
    written = write(c->orders, line, (size_t)n + 1);
    close(c->orders);
    c->orders = -1;
    return written < 0 ? -errno : 0;
}

/* Reads on until `text` holds a line. 1 it does, 0 the child has closed the pipe, or -errno. */
static int line_said(struct child *c, char *text, size_t n, uint64_t deadline_ns)
{
    size_t used = 0;
    ssize_t got;

    while (used < n - 1) {
        OURO_OP(struct ouro_poll, wait);
        int ready;

        ouro_poll_start(&wait, c->said, POLLIN);
        ready = ouro_await_until(&wait.op.future, deadline_ns);
        if (ready < 0)
            return ready;
        got = read(c->said, text + used, n - 1 - used);
        if (got <= 0)
            return got == 0 ? 0 : -errno;
        used += (size_t)got;
        text[used] = '\0';
        if (strchr(text, '\n') != NULL)
            return 1;
    }
    return -EMSGSIZE;
}

int child_listening(struct child *c, struct ouro_addr *out, uint64_t timeout_ns)
{
    static const char announcement[] = "listening on ";
    char text[256];
    int said = line_said(c, text, sizeof text, ouro_after_ns(timeout_ns));

    if (said <= 0)
        return said == 0 ? -ECHILD : said;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, announcement, sizeof announcement - 1) != 0)
        return -EPROTO;
    return ouro_addr_parse(out, text + sizeof announcement - 1, NULL);
}

uint64_t child_cpu_ns(const struct child *c)
{
    struct timespec t;
    clockid_t clock;

    if (c->pid == 0 || clock_getcpuclockid(c->pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * OURO_NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* --- its end --------------------------------------------------------------------------------- */

static void reap(struct child *c)
{
    waitpid(c->pid, &c->status, 0);
    c->pid = 0;
    close(c->pidfd);
    close(c->said);
    if (c->orders >= 0)
        close(c->orders);
}

static bool ended_within(struct child *c, uint64_t ns)
{
    OURO_OP(struct ouro_poll, wait);

    ouro_poll_start(&wait, c->pidfd, POLLIN);
    return ouro_await_for(&wait.op.future, ns) > 0;
}

void child_end(struct child *c)
{
    bool ended = false;

    if (c->pid == 0)
        return;
    ouro_shield_enter();
    for (int i = 0; i < PATIENCE && !ended; i++) {
        kill(c->pid, SIGTERM);
        ended = ended_within(c, OURO_NSEC_PER_SEC);
    }
    ouro_shield_leave();
    child_kill(c);
}

void child_kill(struct child *c)
{
    if (c->pid == 0)
        return;
    kill(c->pid, SIGKILL); /* nothing happens to one that has ended */
    reap(c);
}

void child_describe(const struct child *c, char *buf, size_t n)
{
    if (WIFSIGNALED(c->status))
        snprintf(buf, n, "signal %d", WTERMSIG(c->status));
    else
        snprintf(buf, n, "exit status %d", WEXITSTATUS(c->status));
}
