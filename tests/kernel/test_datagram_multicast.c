/* SPDX-License-Identifier: MIT */
/* Groups on the loopback: who joined receives, who left or never joined does not; with a source,
 * from that sender alone; hops and coming back as asked for. Skipped where the loopback has no
 * multicast. */
#include "support/net_support.h"

#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>

static bool v6;
static unsigned lo;

static struct ouro_addr group_addr(int last)
{
    char text[64];

    snprintf(text, sizeof text, v6 ? "[ff15::4f55:%d]:0" : "239.255.79.%d:0", last);
    return parsed(text);
}

static ouro_conn sender_with(struct ouro_datagram_options o, struct ouro_addr *addr)
{
    struct ouro_addr any = parsed(v6 ? "[::1]:0" : "127.0.0.1:0");
    ouro_conn c;

    o.size = sizeof o;
    o.multicast_interface = lo;
    must_be(ouro_datagram_bind(&c, &any, &o), 0);
    must_be(ouro_local_addr(c, addr), 0);
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
    ouro_conn s = sender_with((struct ouro_datagram_options){0}, &mine),
              r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here), stranger;
    struct ouro_recv_from m;
    struct ouro_datagram d;
    char buf[16];

    (void)arg;
    to = at_port(group, &here);
    to_other = at_port(other, &here);
    plain = at_port(parsed(v6 ? "[::1]:0" : "127.0.0.1:0"), &here);
    say(s, "too early", &to);
    must_be(ouro_multicast_join(r, &group, lo, NULL), 0);
    must_be(ouro_multicast_join(r, &group, lo, NULL), -EADDRINUSE);
    say(s, "one", &to);
    ouro_recv_from_start(&m, r, buf, sizeof buf);
    must_be(ouro_await(&m.op.future), 3);
    must_be(ouro_recv_from_read(&m, &d), 3);
    must(memcmp(buf, "one", 3) == 0);
    must(ouro_addr_equal(&d.from, &mine) && d.interface == lo);
    must_be(ouro_addr_set_port(&to, 0), 0);
    must(ouro_addr_equal(&d.to, &to));
    to = at_port(group, &here);

    /* What another socket joins is not heard here. */
    stranger = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &plain);
    must_be(ouro_multicast_join(stranger, &other, lo, NULL), 0);
    say(s, "not for you", &to_other);
    say(s, "two", &to);
    hears(r, "two");
    must_be(ouro_multicast_leave(r, &group, lo, NULL), 0);
    must_be(ouro_multicast_leave(r, &group, lo, NULL), -EADDRNOTAVAIL);
    say(s, "too late", &to);
    plain = at_port(parsed(v6 ? "[::1]:0" : "127.0.0.1:0"), &here);
    say(s, "plain", &plain);
    hears(r, "plain");
    must_be(ouro_close(stranger), 0);
    must_be(ouro_close(s), 0);
    must_be(ouro_close(r), 0);
    return 0;
}

/* Joined for one sender: others are not heard. */
static int from_source_main(void *arg)
{
    struct ouro_addr mine, theirs, here, group = group_addr(3), to;
    struct ouro_addr elsewhere = parsed(v6 ? "[::2]:0" : "127.0.0.2:0");
    ouro_conn s = sender_with((struct ouro_datagram_options){0}, &mine), x = s,
              r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here);
    struct ouro_datagram_options o = {.size = sizeof o, .multicast_interface = lo};

    (void)arg;
    to = at_port(group, &here);
    if (!v6) { /* all of 127/8 is here */
        must_be(ouro_datagram_bind(&x, &elsewhere, &o), 0);
        must_be(ouro_local_addr(x, &theirs), 0);
    }
    must_be(ouro_multicast_join(r, &group, lo, &elsewhere), 0);
    say(s, "not the source", &to);
    if (!v6) {
        say(x, "the source", &to);
        hears(r, "the source");
    }
    must_be(ouro_multicast_join(r, &group, lo, &mine), 0); /* a second one */
    say(s, "also a source", &to);
    hears(r, "also a source");
    must_be(ouro_multicast_leave(r, &group, lo, &mine), 0);
    must_be(ouro_multicast_leave(r, &group, lo, &elsewhere), 0);
    must(ouro_multicast_leave(r, &group, lo, &elsewhere) < 0);
    if (!v6)
        must_be(ouro_close(x), 0);
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
    ouro_conn quiet = sender_with(o, &mine),
              loud = sender_with((struct ouro_datagram_options){0}, &mine),
              r = receiver(v6 ? "[::]:0" : "0.0.0.0:0", &here);

    (void)arg;
    must_be(get_int(quiet, v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL), 7);
    must_be(get_int(loud, v6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL), 1);
    must_be(get_int(quiet, v6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP), 0);
    must_be(get_int(loud, v6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP), 1);
    if (v6)
        must_be(get_int(quiet, IPV6_MULTICAST_IF), lo);
    to = at_port(group, &here);
    must_be(ouro_multicast_join(r, &group, lo, NULL), 0);
    say(loud, "aloud", &to);
    hears(r, "aloud");
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
    return ouro_multicast_join(shared[i], &group, lo, NULL);
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
    ouro_conn s = sender_with((struct ouro_datagram_options){0}, &mine);

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
    struct group_req r = {.gr_interface = lo};
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    struct ip_mreqn by = {.imr_ifindex = (int)lo};
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    bool there;

    memcpy(&r.gr_group, &group.in6, sizeof group.in6);
    there = fd >= 0 && setsockopt(fd, level, MCAST_JOIN_GROUP, &r, sizeof r) == 0 &&
            (v6 ? setsockopt(fd, level, IPV6_MULTICAST_IF, &lo, sizeof lo)
                : setsockopt(fd, level, IP_MULTICAST_IF, &by, sizeof by)) == 0;
    if (there) { /* and does what is sent come back? */
        char c = 'x';
        struct timeval second = {.tv_sec = 1};
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

/* A network of our own, where groups are routed to the loopback; without the right to have one the
 * host's has to do. */
static void own_network(void)
{
    struct in6_rtmsg route = {.rtmsg_dst_len = 8, .rtmsg_flags = RTF_UP, .rtmsg_metric = 1};
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd;

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return;
    fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must_be(ioctl(fd, SIOCSIFFLAGS, &up), 0);
    route.rtmsg_dst.s6_addr[0] = 0xff;
    route.rtmsg_ifindex = 1;
    (void)ioctl(fd, SIOCADDRT, &route); /* no IPv6: looked at below */
    close(fd);
}

static unsigned ran;

static void on_each(ouro_task_fn *fn, unsigned shards)
{
    for (int i = 0; i < 2; i++) {
        v6 = i != 0;
        if (!family_there(v6 ? V6 : V4) || !multicast_there())
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

    own_network();
    lo = (unsigned)ouro_interface("lo");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed == 0 && ran == 0) {
        printf("skipped: the loopback has no multicast here\n");
        return 77;
    }
    printf("%u runs\n", ran);
    return failed;
}
