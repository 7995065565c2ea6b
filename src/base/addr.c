/* SPDX-License-Identifier: MIT */
#include <ouro/addr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/addr_rules.h"

/*
 * The bytes of a Unix socket's name in sun_path: none when unnamed, a leading NUL when abstract.
 * The length field may come from the kernel or from a user: it is never trusted beyond the struct.
 */
static size_t unix_name_len(const struct ouro_addr *addr)
{
    size_t len = addr->len;

    if (len <= ADDR_UNIX_HEAD)
        return 0;
    if (len > sizeof(addr->un))
        len = sizeof(addr->un);
    len -= ADDR_UNIX_HEAD;
    return addr->un.sun_path[0] == '\0' ? len : strnlen(addr->un.sun_path, len);
}

static int format_unix(const struct ouro_addr *addr, char text[OURO_ADDR_STRLEN])
{
    const char *name = addr->un.sun_path;
    size_t len = unix_name_len(addr);
    int used;

    used = snprintf(text, OURO_ADDR_STRLEN, "unix:%s", len > 0 && name[0] == '@' ? "./" : "");
    for (size_t i = 0; i < len; i++)
        text[used++] = (char)(name[i] == '\0' ? '@' : name[i]);
    text[used] = '\0';
    return used;
}

static int format_in6(const struct ouro_addr *addr, char text[OURO_ADDR_STRLEN])
{
    const struct sockaddr_in6 *in6 = &addr->in6;
    char ip[INET6_ADDRSTRLEN];
    char scope[16] = "";

    inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
    if (in6->sin6_scope_id != 0 && addr_is_scoped(&in6->sin6_addr))
        snprintf(scope, sizeof(scope), "%%%u", in6->sin6_scope_id);
    return snprintf(text, OURO_ADDR_STRLEN, "[%s%s]:%u", ip, scope, ntohs(in6->sin6_port));
}

static int format_in4(const struct ouro_addr *addr, char text[OURO_ADDR_STRLEN])
{
    char ip[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &addr->in4.sin_addr, ip, sizeof(ip));
    return snprintf(text, OURO_ADDR_STRLEN, "%s:%u", ip, ntohs(addr->in4.sin_port));
}

/* Room for the longest Unix text: "unix:", "./", 108 bytes, NUL. */
_Static_assert(OURO_ADDR_STRLEN >= 5 + 2 + ADDR_UNIX_NAME_MAX + 1 + 1,
               "an address's text must fit");

int ouro_addr_format(const struct ouro_addr *addr, char *buf, size_t size)
{
    char text[OURO_ADDR_STRLEN] = "";
    int len = -EAFNOSUPPORT;

    if (!addr || (!buf && size > 0))
        return -EINVAL;
    if (addr->sa.sa_family == AF_INET)
        len = format_in4(addr, text);
    else if (addr->sa.sa_family == AF_INET6)
        len = format_in6(addr, text);
    else if (addr->sa.sa_family == AF_UNIX)
        len = format_unix(addr, text);
    if (size > 0) {
        size_t kept = strnlen(text, size - 1);

        memcpy(buf, text, kept);
        buf[kept] = '\0';
    }
    return len;
}

/*
 * A path of all 108 bytes has no room for its NUL: the kernel counts that NUL but cannot store it,
 * so its length is one more than the struct's.
 */
static int take_unix(struct ouro_addr *addr, const struct sockaddr *sa, socklen_t len)
{
    size_t name;

    if (len > sizeof(addr->un) + 1)
        return -EINVAL;
    if (len > sizeof(addr->un))
        len = sizeof(addr->un);
    memcpy(&addr->un, sa, len);
    addr->len = len;
    name = unix_name_len(addr);
    if (name > 0 && name <= ADDR_UNIX_NAME_MAX && addr->un.sun_path[0] != '\0') {
        memset(addr->un.sun_path + name, 0, sizeof(addr->un.sun_path) - name);
        addr->len = (socklen_t)(ADDR_UNIX_HEAD + name + 1);
    }
    return 0;
}

int ouro_addr_from_sockaddr(struct ouro_addr *out, const struct sockaddr *sa, socklen_t len)
{
    struct ouro_addr addr;
    sa_family_t family;
    int code = 0;

    if (!out || !sa || len < sizeof(family))
        return -EINVAL;
    memset(&addr, 0, sizeof(addr));
    memcpy(&family, sa, sizeof(family));
    if (family == AF_UNIX) {
        code = take_unix(&addr, sa, len);
    } else if (family == AF_INET && len >= sizeof(addr.in4)) {
        addr.len = sizeof(addr.in4);
        memcpy(&addr.in4, sa, sizeof(addr.in4));
    } else if (family == AF_INET6 && len >= sizeof(addr.in6)) {
        addr.len = sizeof(addr.in6);
        memcpy(&addr.in6, sa, sizeof(addr.in6));
    } else {
        code = family == AF_INET || family == AF_INET6 ? -EINVAL : -EAFNOSUPPORT;
    }
    if (code == 0)
        *out = addr;
    return code;
}

static bool equal_in6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    return a->sin6_port == b->sin6_port && IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr) &&
           (a->sin6_scope_id == b->sin6_scope_id || !addr_is_scoped(&a->sin6_addr));
}

static bool equal_unix(const struct ouro_addr *a, const struct ouro_addr *b)
{
    size_t len = unix_name_len(a);

    return len == unix_name_len(b) && memcmp(a->un.sun_path, b->un.sun_path, len) == 0;
}

bool ouro_addr_equal(const struct ouro_addr *a, const struct ouro_addr *b)
{
    if (!a || !b || a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in4.sin_port == b->in4.sin_port &&
               a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
    if (a->sa.sa_family == AF_INET6)
        return equal_in6(&a->in6, &b->in6);
    if (a->sa.sa_family == AF_UNIX)
        return equal_unix(a, b);
    return a->sa.sa_family == AF_UNSPEC;
}

/*
 * One step: a 64-bit finaliser of two multiply-and-shift rounds (the "variant 13" constants of
 * Stafford's search, as in SplitMix64) over state xor input. It is a bijection, so single words
 * never collide, and each input bit flips every output bit with a probability near one half.
 */
static uint64_t hash_step(uint64_t state, uint64_t word)
{
    uint64_t h = (state ^ word) + UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

/* The length goes in first: trailing NULs of an abstract name count. */
static uint64_t hash_bytes(uint64_t state, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    state = hash_step(state, len);
    while (len > 0) {
        uint64_t word = 0;
        size_t taken = len < sizeof(word) ? len : sizeof(word);

        memcpy(&word, at, taken);
        state = hash_step(state, word);
        at += taken;
        len -= taken;
    }
    return state;
}

static uint64_t hash_in6(const struct sockaddr_in6 *in6)
{
    const unsigned char *ip = in6->sin6_addr.s6_addr;
    uint64_t hash;

    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return hash_bytes(AF_INET, ip + 12, 4);
    hash = hash_bytes(AF_INET6, ip, 16);
    return addr_is_scoped(&in6->sin6_addr) ? hash_step(hash, in6->sin6_scope_id) : hash;
}

uint64_t ouro_addr_hash(const struct ouro_addr *addr)
{
    if (!addr)
        return 0;
    if (addr->sa.sa_family == AF_INET)
        return hash_bytes(AF_INET, &addr->in4.sin_addr, 4);
    if (addr->sa.sa_family == AF_INET6)
        return hash_in6(&addr->in6);
    if (addr->sa.sa_family == AF_UNIX)
        return hash_bytes(AF_UNIX, addr->un.sun_path, unix_name_len(addr));
    return hash_step(AF_UNSPEC, addr->sa.sa_family);
}

/* Where the port is, in network byte order; NULL when the family has none. */
static const in_port_t *port_of(const struct ouro_addr *addr)
{
    if (addr->sa.sa_family == AF_INET)
        return &addr->in4.sin_port;
    if (addr->sa.sa_family == AF_INET6)
        return &addr->in6.sin6_port;
    return NULL;
}

int ouro_addr_port(const struct ouro_addr *addr)
{
    const in_port_t *port;

    if (!addr)
        return -EINVAL;
    port = port_of(addr);
    return port ? ntohs(*port) : -EAFNOSUPPORT;
}

int ouro_addr_set_port(struct ouro_addr *addr, uint16_t port)
{
    if (!addr)
        return -EINVAL;
    if (addr->sa.sa_family == AF_INET)
        addr->in4.sin_port = htons(port);
    else if (addr->sa.sa_family == AF_INET6)
        addr->in6.sin6_port = htons(port);
    else
        return -EAFNOSUPPORT;
    return 0;
}

int ouro_addr_family(const struct ouro_addr *addr)
{
    return addr ? addr->sa.sa_family : -EINVAL;
}
