/* SPDX-License-Identifier: MIT */
/* Shards share an address: port 0 is chosen once, every datagram reaches one of them and those of
 * one sender always the same; a Unix socket has one queue for all. Other processes are kept out,
 * unless both share. */
#include "support/net_support.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define SHARDS 3

static struct {
    struct ouro_addr addr;
    struct ouro_datagram_options options;
    struct ouro_addr bound[SHARDS];
    ouro_conn conn[SHARDS];
    int result[SHARDS];
    _Atomic unsigned heard[SHARDS];
} g;

static int open_mine(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    g.result[i] = ouro_datagram_bind(&g.conn[i], &g.addr, &g.options);
    if (g.result[i] == 0)
        must_be(ouro_local_addr(g.conn[i], &g.bound[i]), 0);
    return 0;
}

static int close_mine(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    return g.result[i] == 0 ? ouro_close(g.conn[i]) : 0;
}

/* Answers with its number until its socket is closed. */
static int answer(void *arg)
{
    int i = ouro_current_shard();
    struct ouro_datagram_source source;
    struct ouro_datagram d;
    char name = (char)('0' + i);

    (void)arg;
    must_be(ouro_datagram_source_open(&source, g.conn[i], 0, 0), 0);
    while (ouro_datagram_next(&source, &d) >= 0) {
        g.heard[i]++;
        must_be(ouro_send_to(g.conn[i], &name, 1, &d.from), 1);
        ouro_buf_release(&d.buf);
    }
    must_be(ouro_datagram_source_close(&source), 0);
    return 0;
}

static int spawn_answer(void *arg)
{
    (void)arg;
    return ouro_spawn(NULL, answer, NULL, 0);
}

static void everywhere(ouro_task_fn *fn)
{
    must_be(ouro_on_each_shard(fn, NULL, "each", NULL), 0);
}

static void prepare(enum family f)
{
    memset(&g, 0, sizeof g);
    g.addr = any_addr(f);
    g.options.size = sizeof g.options;
}

/* A sender of its own asks `times` times; who answered first, and that the others did not. */
static int who_answers(enum family f, int times)
{
    struct ouro_addr any = any_addr(f);
    char name = 0, first = 0;
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, NULL), 0);
    must_be(ouro_datagram_connect(c, &g.bound[0]), 0);
    for (int i = 0; i < times; i++) {
        must_be(ouro_send_to(c, "who", 3, NULL), 3);
        must_be(ouro_recv(c, &name, 1), 1);
        if (i == 0)
            first = name;
        must(f == UNIX || name == first);
    }
    must_be(ouro_close(c), 0);
    return first - '0';
}

static int reach_main(void *arg)
{
    enum family f = *(enum family *)arg;
    unsigned asked = 0;

    prepare(f);
    everywhere(open_mine);
    for (int i = 0; i < SHARDS; i++) {
        must_be(g.result[i], 0);
        must(ouro_addr_equal(&g.bound[i], &g.bound[0]));
    }
    everywhere(spawn_answer);
    if (f == UNIX) /* whoever looks first */
        for (; asked < 50; asked++)
            (void)who_answers(f, 1);
    while (f != UNIX && asked < 3000 && (g.heard[0] == 0 || g.heard[1] == 0 || g.heard[2] == 0)) {
        (void)who_answers(f, 3);
        asked += 3;
    }
    must_be(g.heard[0] + g.heard[1] + g.heard[2], asked);
    must(f == UNIX || (g.heard[0] > 0 && g.heard[1] > 0 && g.heard[2] > 0));
    everywhere(close_mine);
    return 0;
}

/* One closes and opens again while the others stay; the last takes a Unix socket's file away. */
static int come_back_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct stat st;

    prepare(f);
    everywhere(open_mine);
    must_be(ouro_close(g.conn[0]), 0);
    must(f != UNIX || stat(g.addr.un.sun_path, &st) == 0);
    must_be(ouro_datagram_bind(&g.conn[0], &g.addr, NULL), 0);
    must_be(ouro_local_addr(g.conn[0], &g.bound[0]), 0);
    must(ouro_addr_equal(&g.bound[0], &g.bound[1]));
    everywhere(close_mine);
    must(f != UNIX || stat(g.addr.un.sun_path, &st) != 0);
    return 0;
}

static int private_main(void *arg)
{
    enum family f = *(enum family *)arg;
    ouro_conn c;

    prepare(f);
    g.options.private_port = true;
    everywhere(open_mine);
    if (f == UNIX) { /* one path, one owner */
        must_be((g.result[0] == 0) + (g.result[1] == 0) + (g.result[2] == 0), 1);
    } else {
        must(!ouro_addr_equal(&g.bound[0], &g.bound[1]));
        must(!ouro_addr_equal(&g.bound[1], &g.bound[2]));
        must_be(ouro_datagram_bind(&c, &g.bound[1], NULL), -EADDRINUSE);
    }
    everywhere(close_mine);
    return 0;
}

/* Given out it belongs to the caller, with its address and its file, and is no part of the share.
 */
static int give_out_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr from;
    struct stat st;
    ouro_conn again;
    char buf[8];
    int fd;

    prepare(f);
    must_be(ouro_datagram_bind(&g.conn[0], &g.addr, NULL), 0);
    must_be(ouro_local_addr(g.conn[0], &g.bound[0]), 0);
    fd = ouro_conn_give_out(g.conn[0]);
    must(fd >= 0);
    must(f != UNIX || stat(g.addr.un.sun_path, &st) == 0);
    must_be(ouro_datagram_bind(&again, &g.bound[0], NULL), -EADDRINUSE);
    must_be(ouro_conn_adopt(&again, fd), 0);
    must_be(ouro_send_to(again, "self", 4, &g.bound[0]), 4);
    must_be(ouro_recv_from(again, buf, sizeof buf, &from), 4);
    must(ouro_addr_equal(&from, &g.bound[0]));
    must_be(ouro_close(again), 0);
    if (f == UNIX)
        must_be(unlink(g.addr.un.sun_path), 0);
    return 0;
}

/* --- another process ------------------------------------------------------------------------- */

struct contest {
    enum family family;
    bool ours, theirs;
    pid_t pid;
    int to[2];
};

static int bind_there(void *arg)
{
    const struct contest *c = arg;
    struct ouro_datagram_options o = {.size = sizeof o, .share_port = c->theirs};
    struct ouro_addr addr;
    ouro_conn conn;
    int error;

    if (read(c->to[0], &addr, sizeof addr) != (ssize_t)sizeof addr)
        return 254;
    error = ouro_datagram_bind(&conn, &addr, &o);
    return error == 0 ? ouro_close(conn) : -error;
}

static int contest_main(void *arg)
{
    struct contest *c = arg;
    int status;

    prepare(c->family);
    g.options.share_port = c->ours;
    everywhere(open_mine);
    for (int i = 0; i < SHARDS; i++)
        must_be(g.result[i], 0);
    must_be(write(c->to[1], &g.bound[0], sizeof g.bound[0]), sizeof g.bound[0]);
    must_be(waitpid(c->pid, &status, 0), c->pid);
    must(WIFEXITED(status));
    everywhere(close_mine);
    return WEXITSTATUS(status);
}

/* The child forks before this process has a runtime. */
static int contest(enum family f, bool ours, bool theirs)
{
    struct contest c = {.family = f, .ours = ours, .theirs = theirs};
    int result;

    must_be(pipe(c.to), 0);
    fflush(NULL);
    c.pid = fork();
    must(c.pid >= 0);
    if (c.pid == 0) {
        struct ouro_options o = small_options(1);

        alarm(60);
        close(c.to[1]);
        _exit(ouro_run(&o, bind_there, &c, &result) == 0 ? result : 255);
    }
    close(c.to[0]);
    result = run_on(SHARDS, contest_main, &c);
    close(c.to[1]);
    return result;
}

static void other_process(void **state)
{
    (void)state;
    for (enum family f = 0; f < FAMILIES; f++) {
        if (!family_there(f))
            continue;
        assert_int_equal(contest(f, false, false), EADDRINUSE);
        assert_int_equal(contest(f, true, false), EADDRINUSE);
        assert_int_equal(contest(f, false, true), f == UNIX ? EADDRINUSE : 0);
        if (f != UNIX)
            assert_int_equal(contest(f, true, true), 0);
    }
}

#define ON_SHARDS(name)                                                                            \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for (enum family f = 0; f < FAMILIES; f++)                                                 \
            if (family_there(f))                                                                   \
                assert_int_equal(run_on(SHARDS, name##_main, &f), 0);                              \
    }

ON_SHARDS(reach)
ON_SHARDS(come_back)
ON_SHARDS(private)
ON_SHARDS(give_out)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reach),    cmocka_unit_test(come_back),     cmocka_unit_test(private),
        cmocka_unit_test(give_out), cmocka_unit_test(other_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
