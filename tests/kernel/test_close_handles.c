/* SPDX-License-Identifier: MIT */
/* A handle is good for one life of its slot: after the close it is stale for ever, also when the
 * slot has a new owner, whatever the order in which the kernel's answers come. */
#include "support/net_support.h"

#include <ouro/file.h>

#include "shard/shard.h"

static char in[16];

static int twice_main(void *arg)
{
    struct ouro_close a, b;
    struct ouro_recv r;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_close(p.near), 0);
    must_be(ouro_close(p.near), -EBADF);
    must_be(ouro_recv(p.near, in, sizeof in), -EBADF);
    must_be(ouro_send(p.near, "x", 1), -EBADF);
    turns(3);
    must_be(ouro_close(p.near), -EBADF);

    ouro_recv_start(&r, p.far, in, sizeof in); /* the second close while the first waits */
    ouro_close_start(&a, p.far);
    ouro_close_start(&b, p.far);
    must(ouro_done(&b.op.future));
    must_be(ouro_result(&b.op.future), -EBADF);
    must_be(ouro_close(p.far), -EBADF);
    must_be(ouro_await(&a.op.future), 0);
    return 0;
}

static uint32_t slot_of(ouro_conn c)
{
    return (uint32_t)c.id & 0xffffff;
}

/* The same slots come again, under other handles; the old ones do not reach the new connections. */
static int generations_main(void *arg)
{
    enum { N = 300 };
    static ouro_conn old[N];
    unsigned reused = 0;

    for (int i = 0; i < N; i++) {
        struct pair p;

        pair_open(&p, *(enum family *)arg);
        old[i] = p.near;
        for (int k = 0; k < i; k++) {
            must(old[k].id != p.near.id && old[k].id != p.far.id);
            reused += slot_of(old[k]) == slot_of(p.near);
        }
        if (i != 0) {
            must_be(ouro_send(old[i - 1], "x", 1), -EBADF);
            must_be(ouro_close(old[i - 1]), -EBADF);
        }
        must_be(ouro_send(p.near, "y", 1), 1);
        must_be(ouro_recv(p.far, in, sizeof in), 1);
        pair_close(&p);
    }
    must(reused > 0);
    return 0;
}

/* The generation wraps to something, never to no handle. */
static int wrap_main(void *arg)
{
    struct slots *t = &shard_self->slots;
    struct pair p;
    uint32_t i;

    pair_open(&p, *(enum family *)arg);
    i = slot_of(p.near);
    must_be(ouro_close(p.near), 0);
    until(t->slot[i].kind == SLOT_FREE);
    t->slot[i].id |= UINT64_C(0xfffffff) << 36; /* the last generation */
    for (int life = 0; life < 3; life++) {
        struct pair q[4];
        bool found = false;

        for (int k = 0; k < 4; k++) {
            pair_open(&q[k], *(enum family *)arg);
            found = found || slot_of(q[k].near) == i || slot_of(q[k].far) == i;
            must(q[k].near.id >> 36 != 0 && q[k].far.id >> 36 != 0);
            must_be(ouro_send(q[k].near, "y", 1), 1);
        }
        for (int k = 0; k < 4; k++)
            pair_close(&q[k]);
        turns(3);
        must(found || life > 0);
    }
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* The kernel hands an entry out again in the batch in which it was closed: a close of every kind
 * and a new connection or file side by side, many times over. */
static int same_batch_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    unsigned reused = 0;
    ouro_conn near, far, old;

    must_be(ouro_connect(&near, &bound, NULL, OURO_FOREVER), 0);
    must_be(ouro_accept(l, &far), 0);
    for (int i = 0; i < 500; i++) {
        struct ouro_connect c;
        struct ouro_open o;
        struct ouro_close closing;
        struct ouro_recv r;

        old = near;
        if (i % 3 == 0) { /* nobody waits for the close */
            must_be(ouro_close(near), 0);
        } else {
            if (i % 3 == 1) /* with something in flight */
                ouro_recv_start(&r, near, in, sizeof in);
            ouro_close_start(&closing, near);
        }
        ouro_open_start(&o, "/dev/null", O_RDONLY, 0);
        ouro_connect_start(&c, &bound, NULL);
        must_be(ouro_await(&c.op.future), 0);
        must_be(ouro_await(&o.op.future), 0);
        if (i % 3 != 0)
            must_be(ouro_await(&closing.op.future), 0);
        near = c.conn;
        reused += slot_of(near) == slot_of(old) || ((uint32_t)o.file.id & 0xffffff) == slot_of(old);
        must_be(ouro_recv(old, in, 1), -EBADF);
        must_be(ouro_close(far), 0);
        must_be(ouro_accept(l, &far), 0);
        must_be(ouro_send(near, "new", 3), 3);
        must_be(ouro_recv(far, in, sizeof in), 3);
        must_be(ouro_file_close(o.file), 0);
    }
    printf("%s: %u of 500 descriptors came again at once\n", family_name[*(enum family *)arg],
           reused);
    must(reused > 0);
    must_be(ouro_close(near), 0);
    must_be(ouro_close(far), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* Kinds are not mixed up. */
static int kinds_main(void *arg)
{
    struct ouro_addr bound, a;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_file file, no_file;
    struct pair p;
    ouro_conn conn;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_open(&file, "/dev/null", O_RDWR, 0), 0);
    no_file.id = p.near.id;
    must_be(ouro_read(no_file, in, 1, 0), -EBADF);
    must_be(ouro_file_close(no_file), -EBADF);
    conn.id = file.id;
    must_be(ouro_recv(conn, in, 1), -EBADF);
    must_be(ouro_close(conn), -EBADF);
    conn.id = l.id;
    must_be(ouro_close(conn), -EBADF);
    must_be(ouro_listener_addr((ouro_listener){p.near.id}, &a), -EBADF);
    must_be(ouro_listener_close((ouro_listener){file.id}), -EBADF);
    must_be(ouro_file_close(file), 0);
    must_be(ouro_file_close(file), -EBADF);
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    must_be(ouro_listener_close(l), -EBADF);
    must_be(ouro_accept(l, &conn), -EBADF);
    return 0;
}

ON_EACH_FAMILY(twice)
/* The kernel hands direct descriptors out in turn: with few of them they come again soon. */
#define IN_A_SMALL_TABLE(name)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct ouro_options o = small_options(1);                                                  \
                                                                                                   \
        (void)state;                                                                               \
        o.descriptors = 16;                                                                        \
        for (enum family f = 0; f < FAMILIES; f++)                                                 \
            if (family_there(f))                                                                   \
                assert_int_equal(run_with(&o, name##_main, &f), 0);                                \
    }

IN_A_SMALL_TABLE(generations)
IN_A_SMALL_TABLE(wrap)
IN_A_SMALL_TABLE(same_batch)
ON_EACH_FAMILY(kinds)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twice),      cmocka_unit_test(generations), cmocka_unit_test(wrap),
        cmocka_unit_test(same_batch), cmocka_unit_test(kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
