/* SPDX-License-Identifier: MIT */
/* Shards share a port, and nobody else does: with port 0 the first one's is everybody's,
 * connections reach all of them, and a second process is refused unless both have said otherwise.
 */
#include "support/net_support.h"

#include <sys/wait.h>

#define SHARDS 3

static struct {
    struct ouro_addr addr;
    struct ouro_listen_options options;
    struct ouro_addr bound[SHARDS], second[SHARDS];
    ouro_listener listener[SHARDS], other[SHARDS];
    int result[SHARDS];
    _Atomic int accepted[SHARDS];
    _Atomic bool stop;
} g;

static int open_mine(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    g.result[i] = ouro_listen(&g.listener[i], &g.addr, &g.options);
    if (g.result[i] == 0)
        must_be(ouro_listener_addr(g.listener[i], &g.bound[i]), 0);
    return 0;
}

static int close_mine(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    return g.result[i] == 0 ? ouro_listener_close(g.listener[i]) : 0;
}

static int serve(void *arg)
{
    int i = ouro_current_shard();
    ouro_conn conn;

    (void)arg;
    while (ouro_accept(g.listener[i], &conn) == 0) {
        char name = (char)('0' + i);

        g.accepted[i]++;
        must_be(ouro_send(conn, &name, 1), 1);
        must_be(ouro_close(conn), 0);
    }
    return 0;
}

static int spawn_server(void *arg)
{
    (void)arg;
    return ouro_spawn(NULL, serve, NULL, 0);
}

static void everywhere(ouro_task_fn *fn)
{
    must_be(ouro_on_each_shard(fn, NULL, "each", NULL), 0);
}

static void prepare(struct ouro_addr addr)
{
    memset(&g, 0, sizeof g);
    g.addr = addr;
    g.options.size = sizeof g.options;
}

/* A connection from the outside that hears which shard took it. */
static int who_answers(const struct ouro_addr *to)
{
    ouro_conn conn;
    char name = 0;

    must_be(ouro_connect(&conn, to, NULL, 10 * SEC), 0);
    must_be(ouro_recv(conn, &name, 1), 1);
    must_be(ouro_close(conn), 0);
    return name - '0';
}

static int reach_all_main(void *arg)
{
    unsigned heard[SHARDS] = {0};

    prepare(any_addr(*(enum family *)arg));
    everywhere(open_mine);
    for (int i = 0; i < SHARDS; i++) {
        must_be(g.result[i], 0);
        must(ouro_addr_equal(&g.bound[i], &g.bound[0]));
    }
    everywhere(spawn_server);
    for (int i = 0; i < 3000 && (heard[0] == 0 || heard[1] == 0 || heard[2] == 0); i++)
        heard[who_answers(&g.bound[0])]++;
    for (int i = 0; i < SHARDS; i++)
        must(heard[i] > 0);
    everywhere(close_mine);
    must(plain_connect(&g.bound[0]) < 0);
    return 0;
}

/* An address that names the port which the first one was given is the same address. */
static int by_its_number_main(void *arg)
{
    struct ouro_addr zero = any_addr(*(enum family *)arg);
    ouro_listener first;

    must_be(ouro_listen(&first, &zero, NULL), 0);
    prepare(zero);
    must_be(ouro_listener_addr(first, &g.addr), 0);
    everywhere(open_mine); /* this shard has it already */
    must_be(g.result[0], -EADDRINUSE);
    for (int i = 1; i < SHARDS; i++) {
        must_be(g.result[i], 0);
        must(ouro_addr_equal(&g.bound[i], &g.addr));
    }
    everywhere(close_mine);
    must_be(ouro_listener_close(first), 0);
    return 0;
}

static int open_two(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    must_be(ouro_listen(&g.listener[i], &g.addr, NULL), 0);
    must_be(ouro_listen(&g.other[i], &g.addr, NULL), 0);
    must_be(ouro_listener_addr(g.listener[i], &g.bound[i]), 0);
    must_be(ouro_listener_addr(g.other[i], &g.second[i]), 0);
    return 0;
}

static int close_other(void *arg)
{
    (void)arg;
    return ouro_listener_close(g.other[ouro_current_shard()]);
}

/* Two listeners of each shard on port 0: the first of each share one, the second of each another.
 */
static int two_ports_main(void *arg)
{
    prepare(any_addr(*(enum family *)arg));
    everywhere(open_two);
    must(!ouro_addr_equal(&g.bound[0], &g.second[0]));
    for (int i = 1; i < SHARDS; i++) {
        must(ouro_addr_equal(&g.bound[i], &g.bound[0]));
        must(ouro_addr_equal(&g.second[i], &g.second[0]));
    }
    everywhere(close_mine);
    everywhere(close_other);
    return 0;
}

/* The first closes and opens again while the others stay. */
static int come_back_main(void *arg)
{
    prepare(any_addr(*(enum family *)arg));
    everywhere(open_mine);
    must_be(ouro_listener_close(g.listener[0]), 0);
    must_be(ouro_listen(&g.listener[0], &g.addr, NULL), 0);
    must_be(ouro_listener_addr(g.listener[0], &g.bound[0]), 0);
    must(ouro_addr_equal(&g.bound[0], &g.bound[1]));
    everywhere(close_mine);
    return 0;
}

static int private_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l;

    prepare(any_addr(*(enum family *)arg));
    g.options.private_port = true;
    everywhere(open_mine);
    for (int i = 0; i < SHARDS; i++) /* a port for each */
        must_be(g.result[i], 0);
    must(!ouro_addr_equal(&g.bound[0], &g.bound[1]) && !ouro_addr_equal(&g.bound[1], &g.bound[2]));
    bound = g.bound[1];
    must_be(ouro_listen(&l, &bound, NULL), -EADDRINUSE);
    must_be(ouro_listen(&l, &bound, &g.options), -EADDRINUSE);
    everywhere(close_mine);
    return 0;
}

/* --- another process ------------------------------------------------------------------------- */

struct other {
    struct ouro_addr addr;
    bool share;
};

static int listen_there(void *arg)
{
    const struct other *o = arg;
    struct ouro_listen_options options = {.size = sizeof options, .share_port = o->share};
    ouro_listener l;
    int error = ouro_listen(&l, &o->addr, &options);

    return error == 0 ? ouro_listener_close(l) : -error;
}

static int other_process(void *arg)
{
    struct ouro_options o = small_options(1);
    int value = 0;

    return ouro_run(&o, listen_there, arg, &value) == 0 ? value : 255;
}

/* Forks before this process has a runtime, and tells the child where to listen when it has. */
struct rival {
    pid_t pid;
    int to[2];
};

static void rival_start(struct rival *r)
{
    struct other o;

    must_be(pipe(r->to), 0);
    fflush(NULL);
    r->pid = fork();
    must(r->pid >= 0);
    if (r->pid == 0) {
        alarm(60);
        close(r->to[1]);
        if (read(r->to[0], &o, sizeof o) != (ssize_t)sizeof o)
            _exit(254);
        _exit(other_process(&o));
    }
    close(r->to[0]);
}

static int rival_listens(struct rival *r, const struct ouro_addr *addr, bool share)
{
    struct other o = {.addr = *addr, .share = share};
    int status;

    must_be(write(r->to[1], &o, sizeof o), sizeof o);
    must_be(waitpid(r->pid, &status, 0), r->pid);
    must(WIFEXITED(status));
    return WEXITSTATUS(status);
}

struct contest {
    enum family family;
    bool ours_shares, theirs_shares;
    struct rival rival;
    int result;
};

static int contest_main(void *arg)
{
    struct contest *c = arg;

    prepare(any_addr(c->family));
    g.options.share_port = c->ours_shares;
    everywhere(open_mine);
    for (int i = 0; i < SHARDS; i++)
        must_be(g.result[i], 0);
    c->result = rival_listens(&c->rival, &g.bound[0], c->theirs_shares);
    everywhere(close_mine);
    return 0;
}

static int contest(enum family f, bool ours, bool theirs)
{
    struct contest c = {.family = f, .ours_shares = ours, .theirs_shares = theirs};

    rival_start(&c.rival);
    assert_int_equal(run_on(SHARDS, contest_main, &c), 0);
    close(c.rival.to[1]);
    return c.result;
}

static void second_process(void **state)
{
    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f)) {
            assert_int_equal(contest(f, false, false), EADDRINUSE);
            assert_int_equal(contest(f, true, false), EADDRINUSE);
        }
}

static void second_process_when_both_share(void **state)
{
    (void)state;
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(contest(f, true, true), 0);
}

#define ON_SHARDS(name)                                                                            \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for (enum family f = V4; f <= V6; f++)                                                     \
            if (family_there(f))                                                                   \
                assert_int_equal(run_on(SHARDS, name##_main, &f), 0);                              \
    }

ON_SHARDS(reach_all)
ON_SHARDS(by_its_number)
ON_SHARDS(two_ports)
ON_SHARDS(come_back)
ON_SHARDS(private)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reach_all),
        cmocka_unit_test(by_its_number),
        cmocka_unit_test(two_ports),
        cmocka_unit_test(come_back),
        cmocka_unit_test(private),
        cmocka_unit_test(second_process),
        cmocka_unit_test(second_process_when_both_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
