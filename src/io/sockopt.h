/* SPDX-License-Identifier: MIT */
/* The options of a socket as a list, for whoever sets them (by system call or through the ring). */
#ifndef IO_SOCKOPT_H
#define IO_SOCKOPT_H

#include <ouro/net.h>

struct sockopt {
    int level, name;
    socklen_t len; /* 0: this one is left alone */
    union {
        int number;
        struct linger linger;
    } value;
};

/* The i-th option for a socket of this family; false: there are no more. */
bool sockopt_at(const struct ouro_socket_options *o, int family, unsigned i, struct sockopt *out);

/* Sets all of them on an ordinary descriptor. 0 or -errno. */
int sockopt_apply(int fd, const struct ouro_socket_options *o, int family);

/* 0, or -EINVAL for an options struct of another size. `out` is complete afterwards. */
int sockopt_take(struct ouro_socket_options *out, const struct ouro_socket_options *in);

#endif
