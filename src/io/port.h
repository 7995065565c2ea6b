/* SPDX-License-Identifier: MIT */
/* Which shards of this process have which address: listeners and bound datagram sockets. Opening
 * and closing them is set-up, so a mutex guards it.
 *
 * The first on an address binds without SO_REUSEPORT, which fails if any other process is
 * bound there, and sets the option only then; the other shards bind beside it with the option set.
 * A port asked for as 0 is thereby chosen once. A Unix socket is bound once; the others have a
 * duplicate of it. */
#ifndef IO_PORT_H
#define IO_PORT_H

#include <ouro/addr.h>

struct port;

struct port_request {
    int type;          /* SOCK_STREAM, which then listens, or SOCK_DGRAM */
    int backlog;       /* of a listener */
    bool v6only;       /* IPV6_V6ONLY */
    bool share_port;   /* with other processes */
    bool private_port; /* of this shard alone */
    int (*prepare)(int fd, int family, const void *options); /* before it is bound: 0 or -errno */
    const void *options;
};

/* Opens a bound socket for `shard`. >= 0 the descriptor, or -errno. *port is to be closed after it.
 * *bound is the address it got. */
int port_open(unsigned shard, const struct ouro_addr *addr, const struct port_request *o,
              struct port **port, struct ouro_addr *bound);

/* Lets no new peer in at fd; those that are queued stay. TCP: connection requests are ignored, so
 * that a peer's kernel asks again and then finds the port closed or with another owner. A Unix
 * socket is shut when the last shard that has it open wants it. */
void port_refuse(unsigned shard, struct port *port, int fd, int family);

/* It is closed. The last one removes a Unix socket's file. Nothing for NULL. */
void port_close(unsigned shard, struct port *port);

/* It belongs to somebody else from here on, with its file. Nothing for NULL. */
void port_give_out(unsigned shard, struct port *port);

#endif
