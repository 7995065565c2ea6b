/* SPDX-License-Identifier: MIT */
/* Descriptors that a stranger attaches to Unix datagrams are never taken in: whoever receives
 * datagrams did not ask for them, and could neither see nor close them. Descriptors are counted,
 * also when the datagrams are dropped unread. */
#include "support/net_support.h"

#define FDS       20
#define DATAGRAMS 8

static ouro_conn bound_socket(struct ouro_addr *addr)
{
    struct ouro_addr any = any_addr(UNIX);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, NULL), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

/* A message "abc" with descriptors: to an address, or over a connected socket. */
static void send_descriptors(const struct ouro_addr *to, int over)
{
    char text[] = "abc";
    struct iovec part = {text, 3};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS * sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_name = to != NULL ? (void *)(uintptr_t)&to->sa : NULL,
                       .msg_namelen = to != NULL ? to->len : 0,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), fds[FDS];

    must(fd >= 0);
    for (int i = 0; i < FDS; i++)
        fds[i] = fd;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    must_be(sendmsg(over >= 0 ? over : fd, &m, 0), 3);
    must_be(close(fd), 0);
}

static int one_by_one_main(void *arg)
{
    struct ouro_addr addr, from;
    ouro_conn c = bound_socket(&addr);
    unsigned before = open_descriptors();
    char in[8];

    (void)arg;
    for (int i = 0; i < DATAGRAMS; i++) {
        send_descriptors(&addr, -1);
        must_be(ouro_recv_from(c, in, sizeof in, &from), 3);
        must(memcmp(in, "abc", 3) == 0 && from.len == 0);
        must_be(open_descriptors(), before);
    }
    must_be(ouro_close(c), 0);
    return 0;
}
ON_ONE_SHARD(one_by_one)

/* Sequenced packets have neither an address nor a source, and can be received so too. */
static int packets_main(void *arg)
{
    unsigned before;
    ouro_conn c;
    char in[8];
    int fd[2];

    (void)arg;
    must_be(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&c, fd[0]), 0);
    before = open_descriptors();
    send_descriptors(NULL, fd[1]);
    must_be(ouro_recv_from(c, in, sizeof in, NULL), 3);
    must(memcmp(in, "abc", 3) == 0);
    must_be(open_descriptors(), before);
    must_be(ouro_close(c), 0);
    must_be(close(fd[1]), 0);
    return 0;
}
ON_ONE_SHARD(packets)

/* Some are taken, the rest is dropped by the close. */
static int source_main(void *arg)
{
    struct ouro_addr addr;
    ouro_conn c = bound_socket(&addr);
    unsigned before = open_descriptors();
    struct ouro_datagram d;

    OURO_DATAGRAM_SOURCE(source);
    (void)arg;
    must_be(ouro_datagram_source_open(&source, c, 0, DATAGRAMS), 0);
    for (int i = 0; i < DATAGRAMS; i++)
        send_descriptors(&addr, -1);
    for (int i = 0; i < DATAGRAMS / 2; i++) {
        must_be(ouro_datagram_next(&source, &d), 3);
        must(memcmp(d.data, "abc", 3) == 0 && d.full_len == 3 && d.from.len == 0);
        ouro_buf_release(&d.buf);
    }
    must_be(open_descriptors(), before);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(open_descriptors(), before);
    must_be(ouro_close(c), 0);
    return 0;
}
ON_ONE_SHARD(source)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_by_one),
        cmocka_unit_test(packets),
        cmocka_unit_test(source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
