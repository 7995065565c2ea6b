/* SPDX-License-Identifier: MIT */
/* What reading an address and printing one must agree on. */
#ifndef OURO_SRC_BASE_ADDR_RULES_H
#define OURO_SRC_BASE_ADDR_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/un.h>

/* The bytes in front of a Unix socket's name. */
enum { ADDR_UNIX_HEAD = offsetof(struct sockaddr_un, sun_path) };

/* A path is NUL-terminated and an abstract name follows a NUL: either leaves 107 bytes. */
enum { ADDR_UNIX_NAME_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

/* The addresses that mean nothing without an interface: RFC 4007, section 6. */
static inline bool addr_is_scoped(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_MC_LINKLOCAL(ip) ||
           IN6_IS_ADDR_MC_NODELOCAL(ip);
}

#endif /* OURO_SRC_BASE_ADDR_RULES_H */
