/* SPDX-License-Identifier: MIT */
/* What the tests of ouro-proxy share: the program as a child, and plain blocking sockets around it.
 *
 * Every call here is bounded in time; a failed check ends the test's process, and with it the
 * child. */
#ifndef SUPPORT_PROXY_H
#define SUPPORT_PROXY_H

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "support/support.h"

#define MIB (1024 * 1024)

/* --- the program ---------------------------------------- */

struct proxy {
    pid_t pid;
    int out, err; /* its stdout and stderr */
    int port;     /* of the first listener that has one */
    char line[1024];
    char *said;   /* stdout after the last line that was read, once it has ended */
    char *errors; /* stderr, once it has ended */
};

/* Starts ${OURO_BIN}/ouro-proxy with the words of `options` (split at blanks). Returns when it has
 * said where it listens, as often as --listen is given. */
void proxy_start(struct proxy *p, const char *format, ...) OURO_PRINTF(2, 3);

/* The next line of its stdout. */
const char *proxy_line(struct proxy *p);

/* One of the total counters, by name; asked for by SIGUSR1. */
uint64_t proxy_counter(struct proxy *p, const char *name);

/* Waits for its end: the exit status. */
int proxy_wait(struct proxy *p);

/* SIGTERM, the end with status 0, and nothing on stderr but what backends did. */
void proxy_stop(struct proxy *p);
void proxy_free(struct proxy *p);

/* Its resident memory in KiB, and its open descriptors. */
long proxy_memory_kib(const struct proxy *p);
unsigned proxy_descriptors(const struct proxy *p);

/* Polls until it is so, at most 20 s: for what happens in the other process. */
#define eventually(cond)                                                                           \
    do {                                                                                           \
        unsigned eventually_n = 0;                                                                 \
                                                                                                   \
        while (!(cond)) {                                                                          \
            if (eventually_n++ == 10000)                                                           \
                must_fail(__FILE__, __LINE__, "in time: " #cond);                                  \
            usleep(2000);                                                                          \
        }                                                                                          \
    } while (0)

/* --- sockets: all with a time limit of 20 s ---------------------------------------- */

/* A listener on 127.0.0.1; *port 0: any, and it is written there. */
int tcp_listen(int *port, int backlog);
int tcp_connect(int port);

/* From a source address such as 127.0.0.2. */
int tcp_connect_from(const char *source, int port);
int tcp_accept(int listener);

int unix_listen(const char *path);
int unix_connect(const char *path);

/* A port of 127.0.0.1 where nobody listens: bound, so that nobody else takes it. */
int tcp_dead_port(int *fd);

/* n bytes of a pattern that begins at `offset`; get() checks them. */
void put(int fd, uint64_t offset, size_t n);
void get(int fd, uint64_t offset, size_t n);

/* Reads on: the end of the stream, without a byte before it. */
void get_end(int fd);

/* Reads on: bytes or not, it ends with a reset. */
void get_reset(int fd);

/* Closes with a reset. */
void close_reset(int fd);

/* put() and get() in a thread of its own. */
struct transfer {
    pthread_t thread;
    int fd;
    uint64_t offset;
    size_t n;
    bool end; /* SHUT_WR after it, or get_end() */
};
void put_start(struct transfer *t, int fd, uint64_t offset, size_t n, bool end);
void get_start(struct transfer *t, int fd, uint64_t offset, size_t n, bool end);
void transfer_join(struct transfer *t);

#endif
