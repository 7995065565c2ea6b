/* SPDX-License-Identifier: MIT */
/* Which shards of this process listen where. Opening and closing listeners is set-up, so a mutex
 * guards it.
 *
 * The first listener on an address binds without SO_REUSEPORT, which fails if any other process is
 * bound there, and sets the option only then; the other shards bind beside it with the option set.
 * A port asked for as 0 is thereby chosen once. A Unix socket is bound once; the others accept from
 * a duplicate of it. */
#ifndef IO_PORT_H
#define IO_PORT_H

#include <ouro/net.h>

struct port;

/* Opens a listening socket for `shard`. >= 0 the descriptor, or -errno. *port is to be closed with
 * it (NULL: a private one). *bound is the address it got. */
int port_listen(unsigned shard, const struct ouro_addr *addr, const struct ouro_listen_options *o,
                struct port **port, struct ouro_addr *bound);

/* Lets no new peer in at fd; those that are queued stay. TCP: connection requests are ignored, so
 * that a peer's kernel asks again and then finds the port closed or with another owner. A Unix
 * socket is shut when the last shard that has it open wants it. */
void port_refuse(unsigned shard, struct port *port, int fd, int family);

/* The listener is closed. The last one removes a Unix socket's file. */
void port_close(unsigned shard, struct port *port);

#endif
