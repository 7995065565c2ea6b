/* SPDX-License-Identifier: MIT */
/* More peers than descriptors: nobody who was accepted is lost, the others wait in the kernel's
 * queue, and get in as some leave. The same for the process's limit of ordinary descriptors. */
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <ouro/file.h>

#include "shard/shard.h"

#define MOST 600

static int fds[MOST];

/* Serves one peer: answers each byte, until the end. */
static int serve_one(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    char in[8];
    ssize_t n;

    while ((n = ouro_recv(conn, in, sizeof in)) > 0)
        must_be(ouro_send_all(conn, in, (size_t)n), n);
    must_be(n, 0);
    return ouro_close(conn);
}

struct server {
    ouro_listener listener;
    unsigned served;
};

static int serve(void *arg)
{
    struct server *s = *(struct server **)arg;
    ouro_conn conn;
    int error;

    while ((error = ouro_accept(s->listener, &conn)) == 0) {
        s->served++;
        must_be(ouro_spawn(NULL, serve_one, &conn, sizeof conn), 0);
    }
    return error == -EBADF ? 0 : error;
}

/* True when the peer was answered; false: not yet. A peer that was lost fails the test. */
static bool answered(int fd, bool *asked)
{
    char byte = 'q';
    ssize_t n;

    if (!*asked)
        plain_send(fd, &byte, 1);
    *asked = true;
    n = recv(fd, &byte, 1, MSG_DONTWAIT);
    must(n == 1 || (n < 0 && errno == EAGAIN));
    return n == 1;
}

/* All connect at once; they leave one by one, each after it was answered. */
static void all_served(const struct ouro_addr *to, int n)
{
    static bool asked[MOST];
    int left = n;
    uint64_t end = ouro_after_ns(50 * SEC);

    memset(asked, 0, sizeof asked);
    for (int i = 0; i < n; i++)
        must((fds[i] = plain_connect(to)) >= 0);
    while (left > 0) {
        must(ouro_now_precise_ns() < end);
        must_be(ouro_sleep(200 * US), 0);
        for (int i = 0; i < n; i++)
            if (fds[i] >= 0 && answered(fds[i], &asked[i])) {
                close(fds[i]);
                fds[i] = -1;
                left--;
            }
    }
}

static int full_main(void *arg)
{
    struct ouro_addr bound;
    struct server s = {.listener = listen_on(*(enum family *)arg, &bound)}, *ps = &s;
    ouro_fiber f;
    unsigned table = shard_self->slots.direct;
    int n = table < 200 ? 200 : MOST;

    must_be(ouro_spawn_joinable(NULL, serve, &ps, sizeof ps, &f), 0);
    for (int round = 0; round < 2; round++)
        all_served(&bound, n);
    must_be(s.served, 2 * n);
    must_be(ouro_listener_close(s.listener), 0);
    must_be(ouro_join(f, NULL), OURO_END_RETURNED);
    return 0;
}

/* Tables of every size around the limits: fewer entries than clients; and a big one, where a burst
 * meets the last free entries. */
static void full_table(void **state)
{
    static const unsigned sizes[] = {16, 17, 32, 64, 300, 400};
    struct ouro_options o = small_options(1);

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        o.descriptors = sizes[i];
        for (enum family f = 0; f < FAMILIES; f++)
            if (family_there(f))
                assert_int_equal(run_with(&o, full_main, &f), 0);
    }
}

/* While all entries are taken: connecting and opening say so, and work again afterwards. */
static int connect_main(void *arg)
{
    struct ouro_addr bound;
    int plain = plain_listen(*(enum family *)arg, 64, &bound);
    ouro_conn conn[64];
    ouro_file file;
    uint64_t refused = counters_now().descriptors_refused;
    int n = 0, error;

    while ((error = ouro_connect(&conn[n], &bound, NULL, 20 * SEC)) == 0 && n < 63)
        n++;
    must(error == -ENFILE || error == -EMFILE);
    must(counters_now().descriptors_refused > refused);
    must(n >= 16);
    must_be(conn[n].id, 0);
    error = ouro_open(&file, "/dev/null", O_RDONLY, 0);
    must(error == -ENFILE || error == -EMFILE);
    must_be(ouro_close(conn[--n]), 0);
    turns(2);
    must_be(ouro_open(&file, "/dev/null", O_RDONLY, 0), 0);
    must_be(ouro_file_close(file), 0);
    must_be(ouro_connect(&conn[n], &bound, NULL, 20 * SEC), 0);
    n++;
    while (n > 0)
        must_be(ouro_close(conn[--n]), 0);
    close(plain);
    return 0;
}

static void full_table_connect(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.descriptors = 16;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, connect_main, &f), 0);
}

/* A shard that accepts and connects and opens at once, at the edge of its table: whoever was
 * accepted is served, though the others take entries all the time. */
static int take_entries(void *arg)
{
    bool *stop = *(bool **)arg;
    ouro_file file[16];

    while (!*stop) {
        int n = 0;

        while (n < 16 && ouro_open(&file[n], "/dev/null", O_RDONLY, 0) == 0)
            n++;
        while (n > 0)
            must_be(ouro_file_close(file[--n]), 0);
        must_be(ouro_sleep(50 * US), 0);
    }
    return 0;
}

static int rivals_main(void *arg)
{
    struct ouro_addr bound;
    struct server s = {.listener = listen_on(*(enum family *)arg, &bound)}, *ps = &s;
    bool stop = false, *pstop = &stop;
    ouro_fiber f, taker[3];

    must_be(ouro_spawn_joinable(NULL, serve, &ps, sizeof ps, &f), 0);
    for (int i = 0; i < 3; i++)
        must_be(ouro_spawn_joinable(NULL, take_entries, &pstop, sizeof pstop, &taker[i]), 0);
    for (int round = 0; round < 5; round++)
        all_served(&bound, 100);
    must_be(s.served, 500);
    stop = true;
    for (int i = 0; i < 3; i++)
        must_be(ouro_join(taker[i], NULL), OURO_END_RETURNED);
    must_be(ouro_listener_close(s.listener), 0);
    must_be(ouro_join(f, NULL), OURO_END_RETURNED);
    return 0;
}

static void rivals(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    for (unsigned n = 20; n <= 300; n += 280) {
        o.descriptors = n;
        for (enum family f = 0; f < FAMILIES; f++)
            if (family_there(f))
                assert_int_equal(run_with(&o, rivals_main, &f), 0);
    }
}

/* Two listeners of one shard with one entry left between them. */
static int two_listeners_main(void *arg)
{
    struct ouro_addr bound[2];
    struct server s[2];
    ouro_fiber f[2];
    static bool asked[40];
    int left = 40;

    memset(asked, 0, sizeof asked);
    for (int i = 0; i < 2; i++) {
        struct server *ps = &s[i];

        s[i] = (struct server){.listener = listen_on(*(enum family *)arg, &bound[i])};
        must_be(ouro_spawn_joinable(NULL, serve, &ps, sizeof ps, &f[i]), 0);
    }
    turns(3);
    for (int i = 0; i < 40; i++)
        must((fds[i] = plain_connect(&bound[i % 2])) >= 0);
    while (left > 0) {
        must_be(ouro_sleep(200 * US), 0);
        for (int i = 0; i < 40; i++)
            if (fds[i] >= 0 && answered(fds[i], &asked[i])) {
                close(fds[i]);
                fds[i] = -1;
                left--;
            }
    }
    for (int i = 0; i < 2; i++) {
        must_be(ouro_listener_close(s[i].listener), 0);
        must_be(ouro_join(f[i], NULL), OURO_END_RETURNED);
        must_be(s[i].served, 20);
    }
    return 0;
}

static void two_listeners(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.descriptors = 17;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, two_listeners_main, &f), 0);
}

/* --- ordinary descriptors -------------------------------------------------------------------- */

static void limit_to(rlim_t n)
{
    struct rlimit limit = {.rlim_cur = n, .rlim_max = n};

    must_be(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Takes every descriptor that is left but `spare`. */
static int hog(int *taken, int most, int spare)
{
    int n = 0;

    while (n < most && (taken[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    while (spare-- > 0)
        close(taken[--n]);
    return n;
}

/* Draining and adopting take ordinary descriptors; so does everything where sockets are not direct.
 */
static int emfile_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound), other;
    static int taken[512];
    struct ouro_addr a = any_addr(*(enum family *)arg);
    ouro_conn conn;
    int n, fd = plain_connect(&bound);

    must(fd >= 0);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_close(conn), 0);
    must_be(ouro_accept_stop(l), 0);
    n = hog(taken, 512, 0);
    must_be(ouro_listen(&other, &a, NULL), -EMFILE);
    while (n > 0)
        close(taken[--n]);
    must_be(ouro_listen(&other, &a, NULL), 0);
    must_be(ouro_listener_close(other), 0);
    close(fd);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static int limited(void *arg)
{
    struct ouro_options o = small_options(1);

    o.descriptors = 64;
    limit_to(128);
    return run_with(&o, emfile_main, arg);
}

static void emfile(void **state)
{
    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f)) {
            struct child c;

            in_child(&c, limited, &f);
            assert_int_equal(child_exit(&c), 0);
            child_free(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_table), cmocka_unit_test(full_table_connect),
        cmocka_unit_test(rivals),     cmocka_unit_test(two_listeners),
        cmocka_unit_test(emfile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
