/* SPDX-License-Identifier: MIT */
/* Datagrams: what receiving one and receiving many share. */
#ifndef IO_DATAGRAM_H
#define IO_DATAGRAM_H

#include <ouro/datagram.h>
#include "ring/slots.h"

struct shard;

/* Notes in a socket's slot what its kind means for sending. */
void datagram_note(struct slot *slot);

/* The slot of a datagram socket: 0, or the error of its handle, -EPROTOTYPE for another socket. */
int datagram_slot(struct shard *s, ouro_conn conn, struct slot **out);

/* Whether datagrams may come joined. */
bool datagram_has_gro(const struct slot *slot);

/* Describes what recvmsg left in `m` (name and control data, with their lengths) and in `room`
 * bytes at `data`, where a datagram of full_len was received. */
void datagram_read(struct ouro_datagram *out, const struct msghdr *m, void *data, size_t room,
                   uint32_t full_len);

#endif
