/* SPDX-License-Identifier: MIT */
/* Groups of receivers, by the interface that knows both families. */
#include <ouro/datagram.h>

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

int ouro_interface(const char *name)
{
    char found[IF_NAMESIZE];
    unsigned long number;
    char *end;

    if (name == NULL || *name == '\0')
        return -EINVAL;
    number = if_nametoindex(name);
    if (number != 0)
        return (int)number;
    number = strtoul(name, &end, 10);
    if (*end != '\0' || number == 0 || number > INT32_MAX ||
        if_indextoname((unsigned)number, found) == NULL)
        return -ENODEV;
    return (int)number;
}

static bool is_group(const struct ouro_addr *a)
{
    switch (ouro_addr_family(a)) {
    case AF_INET:
        return IN_MULTICAST(ntohl(a->in4.sin_addr.s_addr));
    case AF_INET6:
        return IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr);
    default:
        return false;
    }
}

static int ask(ouro_conn conn, const struct ouro_addr *group, unsigned interface,
               const struct ouro_addr *source, int any, int specific)
{
    struct group_source_req r = {.gsr_interface = interface};
    struct group_req from_any = {.gr_interface = interface};
    int level;

    if (!is_group(group) || (source != NULL && ouro_addr_family(source) != ouro_addr_family(group)))
        return -EINVAL;
    level = ouro_addr_family(group) == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (source == NULL) {
        memcpy(&from_any.gr_group, &group->in6, sizeof group->in6); /* the longer of the two */
        return ouro_setsockopt(conn, level, any, &from_any, sizeof from_any);
    }
    memcpy(&r.gsr_group, &group->in6, sizeof group->in6);
    memcpy(&r.gsr_source, &source->in6, sizeof source->in6);
    return ouro_setsockopt(conn, level, specific, &r, sizeof r);
}

int ouro_multicast_join(ouro_conn conn, const struct ouro_addr *group, unsigned interface,
                        const struct ouro_addr *source)
{
    return ask(conn, group, interface, source, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP);
}

int ouro_multicast_leave(ouro_conn conn, const struct ouro_addr *group, unsigned interface,
                         const struct ouro_addr *source)
{
    return ask(conn, group, interface, source, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP);
}
