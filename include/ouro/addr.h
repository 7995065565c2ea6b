/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as values: parse, format, compare, hash.
 *
 * These functions need no runtime, keep no state, allocate nothing and may be called on any
 * thread. They leave the global errno alone. Since version 0.1.
 *
 * The text form:
 *
 *   127.0.0.1:80        IPv4, four decimal parts
 *   [::1]:80            IPv6, always in brackets
 *   [fe80::1%lo]:80     with a scope: an interface's name or number; only link-local addresses and
 *                       interface-local or link-local multicast have one
 *   *:80  or  :80       the IPv6 wildcard, the same address as [::]:80. A listener on it takes IPv4
 *                       as well unless it sets IPV6_V6ONLY. For IPv4 alone write 0.0.0.0:80
 *   unix:/run/x         a Unix socket's path, at most 107 bytes
 *   unix:@name          a name in the abstract namespace, at most 107 bytes; a *file* whose path
 *                       begins with '@' is written unix:./@name
 *
 * Port 0 is allowed: the kernel picks one at bind. Names are not resolved here: a host name is an
 * error which says so. Sources: ip(7), ipv6(7), unix(7), RFC 4291, RFC 4007, RFC 5952.
 */
#ifndef OURO_ADDR_H
#define OURO_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <ouro/base.h>

OURO_BEGIN_DECLS

/*
 * An address as the kernel takes it: hand &addr.sa and addr.len to any socket call. Copied by
 * assignment. All bytes zero is the empty address, of family AF_UNSPEC.
 */
struct ouro_addr {
    socklen_t len; /* bytes of the union in use */
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* Room for any address that ouro_addr_format() writes, with its terminating NUL. */
#define OURO_ADDR_STRLEN 128

/* Room for the longest message of an ouro_addr_error, with its terminating NUL. */
#define OURO_ADDR_MESSAGE_BYTES 256

/* The part of an address text that is wrong. */
enum ouro_addr_part {
    OURO_ADDR_WHOLE = 0,
    OURO_ADDR_HOST,
    OURO_ADDR_SCOPE,
    OURO_ADDR_PORT,
    OURO_ADDR_PATH,
};

/*
 * What is wrong with a text: text[pos] … text[pos + len - 1], in bytes; len is 0 where something is
 * missing, and pos is then where it should stand. The message is one line of printable ASCII
 * without a full stop; foreign bytes are shown as \xNN and long texts are shortened.
 */
struct ouro_addr_error {
    int code; /* the same -errno that was returned */
    enum ouro_addr_part part;
    size_t pos;
    size_t len;
    char message[OURO_ADDR_MESSAGE_BYTES];
};

/*
 * Reads text into *out. On an error *out is untouched and *err, unless NULL, says what is wrong; on
 * success *err is untouched.
 *
 * Looking up a scope that is a name costs a few system calls; everything else costs none.
 *
 * Returns 0, or
 *   -EINVAL        text is no address, or out or text is NULL
 *   -ERANGE        the port is above 65535, or the scope's number is not in 1 … 2^32 - 1
 *   -ENAMETOOLONG  the path or abstract name has more than 107 bytes
 *   -ENODEV        no interface has the scope's name
 *   other          the interface could not be looked up, such as -EMFILE (socket(2), netdevice(7))
 */
OURO_API OURO_NODISCARD int ouro_addr_parse(struct ouro_addr *out, const char *text,
                                            struct ouro_addr_error *err);

/*
 * Writes the address into buf as NUL-terminated text, cut to size bytes. Returns the length of the
 * whole text without its NUL, as snprintf does: it was cut when the return value is ≥ size.
 * buf may be NULL when size is 0. A buffer of OURO_ADDR_STRLEN is always enough.
 *
 * ouro_addr_parse() reads the text back into an equal address; a scope is written as its number, so
 * that no system call is needed. Four Unix addresses have no such text: an unnamed socket
 * ("unix:"), an abstract name that is empty or holds NUL bytes (shown as '@'), a path that fills
 * all 108 bytes, and one of more than 105 bytes that begins with '@': a path that does is written
 * as the same file's unix:./@….
 *
 * Returns -EINVAL when addr is NULL, or buf is NULL and size is not 0; -EAFNOSUPPORT when the
 * family is none of AF_INET, AF_INET6, AF_UNIX (buf is then the empty string).
 */
OURO_API OURO_NODISCARD int ouro_addr_format(const struct ouro_addr *addr, char *buf, size_t size);

/*
 * Takes over what the kernel wrote (accept, getpeername, recvmsg) or a resolver returned. sa needs
 * no alignment and may lie inside *out. On an error *out is untouched.
 *
 * Returns 0; -EINVAL when a pointer is NULL or len is too short for the family, or too long for
 * AF_UNIX; -EAFNOSUPPORT for a family other than AF_INET, AF_INET6 and AF_UNIX.
 */
OURO_API OURO_NODISCARD int ouro_addr_from_sockaddr(struct ouro_addr *out,
                                                    const struct sockaddr *sa, socklen_t len);

/*
 * True when both name the same end point: family, address, port and, where the address has one,
 * scope; padding and IPv6 flow labels do not count. Unix sockets are compared by name, byte for
 * byte. False when an argument is NULL. 127.0.0.1 and ::ffff:127.0.0.1 are *not* equal.
 */
OURO_API OURO_NODISCARD bool ouro_addr_equal(const struct ouro_addr *a, const struct ouro_addr *b);

/*
 * A hash of the address without its port, for choosing a shard or a back end by source: all 64 bits
 * are well mixed, so `hash % n` and `hash >> shift` both serve. Equal addresses have equal hashes,
 * and an IPv4 client has the same one whether it came through an IPv4 or a dual-stack
 * (::ffff:a.b.c.d) listener. It is the same in every process of one build, hence no defence against
 * clients that choose colliding addresses; do not store it. 0 for NULL.
 */
OURO_API OURO_NODISCARD uint64_t ouro_addr_hash(const struct ouro_addr *addr);

/* The port in host byte order; -EINVAL for NULL, -EAFNOSUPPORT when the family has no ports. */
OURO_API OURO_NODISCARD int ouro_addr_port(const struct ouro_addr *addr);

/* Sets the port. Returns 0; -EINVAL for NULL, -EAFNOSUPPORT when the family has no ports. */
OURO_API OURO_NODISCARD int ouro_addr_set_port(struct ouro_addr *addr, uint16_t port);

/* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC for the empty address; -EINVAL for NULL. */
OURO_API OURO_NODISCARD int ouro_addr_family(const struct ouro_addr *addr);

OURO_END_DECLS

#endif /* OURO_ADDR_H */
