/* SPDX-License-Identifier: MIT */
/* Groups: who joined receives, who left or never joined does not; with a source, from that sender
 * alone; hops and coming back as asked for. On the loopback, or where that has no multicast on
 * another interface, with no hop to go: nothing leaves the machine. Skipped where there is none. */
#include "support/net_support.h"

#include <net/if.h>

static bool v6;
static unsigned on;  /* the interface */
static bool no_hops; /* what comes back is the kernel's copy */

static struct ouro_addr group_addr(int last)
{
    char text[64];

    snprintf(text, sizeof text, v6 ? "[ff15::4f55:%d]:0" : "239.255.79.%d:0", last);
    return parsed(text);
}

static ouro_conn sender_with(struct ouro_datagram_options o, struct ouro_addr *addr)
{
    struct ouro_addr any = parsed(v6 ? "[::]:0" : no_hops ? "0.0.0.0:0" : "127.0.0.1:0");
    ouro_conn c;

    o.size = sizeof o;
    o.private_port = true;
    o.multicast_interface = on;
    must_be(ouro_datagram_bind(&c, &any, &o), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

static ouro_conn sender(struct ouro_addr *addr)
{
    ouro_conn c = sender_with((struct ouro_datagram_options){0}, addr);
    int none = 0;

    if (no_hops)
        must_be(ouro_setsockopt(c, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                                v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, &none, sizeof none),
                0);
    return c;
}

static ouro_conn receiver(const char *at, struct ouro_addr *addr)
{
    struct ouro_datagram_options o = {.size = sizeof o, .destination = true};
    struct ouro_addr any = parsed(at);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, &o), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

/* The group, at the receiver's port. */
static struct ouro_addr at_port(struct ouro_addr group, const struct ouro_addr *of)
{
    must_be(ouro_addr_set_port(&group, (uint16_t)ouro_addr_port(of)), 0);
    return group;
}

/* What the receiver hears next is `text`: the kernel delivers on the loopback at once, and in
 * order, so that what was not for it would have come before. */
static void hears(ouro_conn c, const char *text)
{
    char buf[32] = "";

    must(ouro_recv(c, buf, sizeof buf - 1) > 0);
    if (strcmp(buf, text) != 0)
        must_fail(__FILE__, __LINE__, buf);
}

static void say(ouro_conn c, const char *text, const struct ouro_addr *to)
{
    must_be(ouro_send_to(c, text, strlen(text), to), strlen(text));
}

static int join_main(void *arg)
{
    struct ouro_addr mine, here, plain, group = group_addr(1), other = group_addr(2), to, to_other;
    ouro_conn s = sender(&mine), r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here), stranger;
    struct ouro_recv_from m;
    struct ouro_datagram d;
    char buf[16];

    (void)arg;
    to = at_port(group, &here);
    to_other = at_port(other, &here);
    plain = at_port(parsed(v6 ? "[::1]:0" : "127.0.0.1:0"), &here);
    say(s, "too early", &to);
    must_be(ouro_multicast_join(r, &group, on, NULL), 0);
    must_be(ouro_multicast_join(r, &group, on, NULL), -EADDRINUSE);
    say(s, "one", &to);
    ouro_recv_from_start(&m, r, buf, sizeof buf);
    must_be(ouro_await(&m.op.future), 3);
    must_be(ouro_recv_from_read(&m, &d), 3);
    must(memcmp(buf, "one", 3) == 0);
    must(ouro_addr_port(&d.from) == ouro_addr_port(&mine) && d.interface == on);
    must_be(ouro_addr_set_port(&to, 0), 0);
    must(ouro_addr_equal(&d.to, &to));
    to = at_port(group, &here);

    /* What another socket joins is not heard here. */
    stranger = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &plain);
    must_be(ouro_multicast_join(stranger, &other, on, NULL), 0);
    say(s, "not for you", &to_other);
    say(s, "two", &to);
    hears(r, "two");
    must_be(ouro_multicast_leave(r, &group, on, NULL), 0);
    must_be(ouro_multicast_leave(r, &group, on, NULL), -EADDRNOTAVAIL);
    say(s, "too late", &to);
    plain = at_port(parsed(v6 ? "[::1]:0" : "127.0.0.1:0"), &here);
    say(s, "plain", &plain);
    hears(r, "plain");
    must_be(ouro_close(stranger), 0);
    must_be(ouro_close(s), 0);
    must_be(ouro_close(r), 0);
    return 0;
}

/* Where the sender's datagrams come from: of several addresses the kernel chooses. */
static struct ouro_addr source_of(ouro_conn s)
{
    struct ouro_addr here, from, group = group_addr(6), to;
    ouro_conn r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here);
    char buf[8];

    must_be(ouro_multicast_join(r, &group, on, NULL), 0);
    to = at_port(group, &here);
    say(s, "who", &to);
    must_be(ouro_recv_from(r, buf, sizeof buf, &from), 3);
    must_be(ouro_close(r), 0);
    return from;
}

/* Joined for one sender: others are not heard. */
static int from_source_main(void *arg)
{
    struct ouro_addr mine, here, group = group_addr(3), to;
    struct ouro_addr elsewhere = parsed(v6 ? "[fd00::4f55]:0" : "127.1.2.3:0");
    ouro_conn s = sender(&mine), r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here);

    (void)arg;
    mine = source_of(s);
    to = at_port(group, &here);
    must_be(ouro_multicast_join(r, &group, on, &elsewhere), 0);
    say(s, "not the source", &to);
    must_be(ouro_multicast_join(r, &group, on, &mine), 0); /* a second one */
    say(s, "the source", &to);
    hears(r, "the source");
    must_be(ouro_multicast_leave(r, &group, on, &mine), 0);
    say(s, "no source any more", &to);
    must_be(ouro_multicast_leave(r, &group, on, &elsewhere), 0);
    must(ouro_multicast_leave(r, &group, on, &elsewhere) < 0);
    must_be(ouro_multicast_join(r, &group, on, NULL), 0);
    say(s, "anybody", &to);
    hears(r, "anybody");
    must_be(ouro_close(s), 0);
    must_be(ouro_close(r), 0);
    return 0;
}

static int get_int(ouro_conn c, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    must_be(ouro_getsockopt(c, v6 ? IPPROTO_IPV6 : IPPROTO_IP, name, &value, &len), 0);
    return value;
}

static int options_main(void *arg)
{
    struct ouro_datagram_options o = {.multicast_ttl = 7, .multicast_no_loop = true};
    struct ouro_addr mine, here, group = group_addr(4), to;
    ouro_conn quiet = sender_with(o, &mine);
    ouro_conn loud = sender_with((struct ouro_datagram_options){0}, &mine), s = sender(&mine);
    ouro_conn r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here);

    (void)arg;
    must_be(get_int(quiet, v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL), 7);
    must_be(get_int(loud, v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL), 1);
    must_be(get_int(quiet, v6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP), 0);
    must_be(get_int(loud, v6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP), 1);
    if (v6)
        must_be(get_int(quiet, IPV6_MULTICAST_IF), on);
    to = at_port(group, &here);
    must_be(ouro_multicast_join(r, &group, on, NULL), 0);
    say(s, "aloud", &to);
    hears(r, "aloud");
    must_be(ouro_close(s), 0);
    must_be(ouro_close(quiet), 0);
    must_be(ouro_close(loud), 0);
    must_be(ouro_close(r), 0);
    return 0;
}

/* Each shard that shares the port and joined has its copy. */
#define SHARDS 2
static struct ouro_addr shared_at;
static ouro_conn shared[SHARDS];

static int join_shared(void *arg)
{
    struct ouro_addr group = group_addr(5);
    int i = ouro_current_shard();

    (void)arg;
    must_be(ouro_datagram_bind(&shared[i], &shared_at, NULL), 0);
    return ouro_multicast_join(shared[i], &group, on, NULL);
}

static int hear_shared(void *arg)
{
    (void)arg;
    hears(shared[ouro_current_shard()], "to all");
    return ouro_close(shared[ouro_current_shard()]);
}

static int shards_main(void *arg)
{
    struct ouro_addr mine, here, to;
    ouro_conn s = sender(&mine);

    (void)arg;
    shared_at = parsed(v6 ? "[::]:0" : "0.0.0.0:0");
    must_be(ouro_on_each_shard(join_shared, NULL, "join", NULL), 0);
    must_be(ouro_local_addr(shared[0], &here), 0);
    to = at_port(group_addr(5), &here);
    say(s, "to all", &to);
    must_be(ouro_on_each_shard(hear_shared, NULL, "hear", NULL), 0);
    must_be(ouro_close(s), 0);
    return 0;
}

/* --- is there any ---------------------------------------------------------------------------- */

static bool multicast_there(void)
{
    struct ouro_addr group = group_addr(1);
    struct group_req r = {.gr_interface = on};
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    struct ip_mreqn by = {.imr_ifindex = (int)on};
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int none = 0;
    bool there;

    memcpy(&r.gr_group, &group.in6, sizeof group.in6);
    there = fd >= 0 && setsockopt(fd, level, MCAST_JOIN_GROUP, &r, sizeof r) == 0 &&
            (v6 ? setsockopt(fd, level, IPV6_MULTICAST_IF, &on, sizeof on)
                : setsockopt(fd, level, IP_MULTICAST_IF, &by, sizeof by)) == 0 &&
            (!no_hops || setsockopt(fd, level, v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, &none,
                                    sizeof none) == 0);
    if (there) { /* and does what is sent come back? */
        char c = 'x';
        struct timeval second = {.tv_usec = 200000};
        struct ouro_addr any = parsed(v6 ? "[::]:0" : "0.0.0.0:0"), to;

        there = bind(fd, &any.sa, any.len) == 0 &&
                getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
                ouro_addr_from_sockaddr(&any, (struct sockaddr *)&ss, len) == 0 &&
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0;
        to = at_port(group, &any);
        there = there && sendto(fd, &c, 1, 0, &to.sa, to.len) == 1 && recv(fd, &c, 1, 0) == 1;
    }
    if (fd >= 0)
        close(fd);
    return there;
}

/* The first interface on which what is sent to a group comes back. */
static bool choose_interface(void)
{
    struct if_nameindex *all = if_nameindex();
    bool found = false;

    must(all != NULL);
    for (int i = 0; !found && all[i].if_index != 0; i++) {
        on = all[i].if_index;
        no_hops = strcmp(all[i].if_name, "lo") != 0;
        found = multicast_there();
    }
    if_freenameindex(all);
    return found;
}

static unsigned ran;

static void on_each(ouro_task_fn *fn, unsigned shards)
{
    for (int i = 0; i < 2; i++) {
        v6 = i != 0;
        if (!family_there(v6 ? V6 : V4) || !choose_interface())
            continue;
        assert_int_equal(run_on(shards, fn, NULL), 0);
        ran++;
    }
}

#define ON_GROUPS(name, shards)                                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        on_each(name##_main, shards);                                                              \
    }

ON_GROUPS(join, 1)
ON_GROUPS(from_source, 1)
ON_GROUPS(options, 1)
ON_GROUPS(shards, SHARDS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join),
        cmocka_unit_test(from_source),
        cmocka_unit_test(options),
        cmocka_unit_test(shards),
    };
    int failed;

    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed == 0 && ran == 0) {
        printf("skipped: there is no multicast here\n");
        return 77;
    }
    printf("%u runs\n", ran);
    return failed;
}
