/* SPDX-License-Identifier: MIT */
/* What belongs to a shard cannot be used elsewhere: each call of owner_only.inc, made on a thread
 * that is no shard and on another shard, gives the error that it states or aborts with a message,
 * and changes nothing of the things nor of the shard that owns them. */
#include "support/net_support.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include "shard/shard.h"

#define NO_THING 1 /* the call is not made on another shard */
#define OTHER    (-OURO_EOTHERSHARD)

/* Shard 0's. */
struct world {
    ouro_listener listener;
    ouro_conn conn, fed, udp, udp_fed;
    ouro_file file, dir;
    ouro_fiber fiber;
    struct ouro_addr addr, group;
    struct ouro_timer timer; /* pending, as all that follows is */
    struct ouro_future *futures[2];
    struct ouro_recv recv;
    struct ouro_recv_source source;
    struct ouro_datagram_source datagrams;
    struct ouro_poll_source poll;
    struct ouro_buf lease;
    struct ouro_scope scope;
    struct ouro_task task; /* stackless, in the scope */
    struct ouro_timer nap;
    struct ouro_promise promise;
    struct ouro_promise_wait wait;
    struct msghdr header;
    struct iovec part;
    char buf[16];
    int fd;
};

/* The caller's. */
struct scratch {
    struct ouro_join join;
    struct ouro_task task;
    struct ouro_scope scope;
    struct ouro_timer timer;
    struct ouro_interval interval;
    struct ouro_signal_wait signal;
    struct ouro_counters counters;
    struct ouro_recv_source source;
    struct ouro_datagram_source datagrams;
    struct ouro_datagram datagram;
    struct ouro_datagram_info info;
    struct ouro_poll_source poll;
    struct ouro_credentials credentials;
    struct ouro_buf lease;
    struct ouro_addr addr;
    ouro_listener listener;
    ouro_conn conn;
    ouro_file file, ends[2];
    char name[OURO_TEMP_NAME_BYTES], sqe[64];
    void *data;
    size_t size;
    socklen_t len;
    int number;
};

static int never(void *arg)
{
    (void)arg;
    abort();
}

static void never_reduce(void *sum, const void *part)
{
    (void)sum;
    (void)part;
    abort();
}

static void never_resume(struct ouro_task *task)
{
    (void)task;
    abort();
}

static void never_use(void *ctx, const char *name, size_t bytes)
{
    (void)ctx;
    (void)name;
    (void)bytes;
    abort();
}

/* --- the calls, from the table -----------------------------------------------------------------
 */

static int refused(const struct ouro_future *f)
{
    must(ouro_done(f));
    return ouro_result(f);
}

#define START(name, type, other, args)                                                             \
    static int call_##name(struct world *w, struct scratch *o)                                     \
    {                                                                                              \
        struct type x = {};                                                                        \
        (void)w, (void)o;                                                                          \
        name args;                                                                                 \
        return refused((const struct ouro_future *)(const void *)&x);                              \
    }
#define CALL(name, other, args)                                                                    \
    static int call_##name(struct world *w, struct scratch *o)                                     \
    {                                                                                              \
        (void)w, (void)o;                                                                          \
        return name args;                                                                          \
    }
#define RESULT(name, other, args)                                                                  \
    static int call_##name(struct world *w, struct scratch *o)                                     \
    {                                                                                              \
        (void)o;                                                                                   \
        return refused(name args);                                                                 \
    }
#define GUARD(name, args)                                                                          \
    static int call_##name(struct world *w, struct scratch *o)                                     \
    {                                                                                              \
        (void)o;                                                                                   \
        name args;                                                                                 \
        return 0;                                                                                  \
    }
#define STRICT GUARD
#define ANYWHERE(name)
#include "kernel/owner_only.inc"
#undef START
#undef CALL
#undef RESULT
#undef GUARD
#undef STRICT

enum { RETURNS, GUARDED, ABORTS };

static const struct row {
    const char *name;
    int (*call)(struct world *w, struct scratch *o);
    int off_shard, other;
    int kind;
} rows[] = {
#define START(name, type, other, args) {#name, call_##name, -OURO_ENOSHARD, other, RETURNS},
#define CALL(name, other, args)        {#name, call_##name, -OURO_ENOSHARD, other, RETURNS},
#define RESULT                         CALL
#define GUARD(name, args)              {#name, call_##name, 0, NO_THING, GUARDED},
#define STRICT(name, args)             {#name, call_##name, NO_THING, NO_THING, ABORTS},
#include "kernel/owner_only.inc"
};

#define ROWS (sizeof rows / sizeof rows[0])

/* --- the world ---------------------------------------------------------------------------------
 */

static int long_sleep(void *arg)
{
    (void)arg;
    return ouro_sleep(3600 * SEC);
}

static void nap_resume(struct ouro_task *task)
{
    struct world *w = OURO_FRAME(task, struct world, task);

    OURO_BEGIN(task);
    (void)ouro_sleep_start(&w->nap, 3600 * SEC);
    OURO_AWAIT(task, &w->nap.future);
    OURO_END(task, 0);
}

static ouro_conn adopted_pair(int *other_end)
{
    ouro_conn conn;
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&conn, fd[0]), 0);
    *other_end = fd[1];
    return conn;
}

static void open_sockets(struct world *w, int peers[2])
{
    struct ouro_addr any = parsed("127.0.0.1:0");

    w->listener = listen_on(V4, &w->addr);
    w->conn = adopted_pair(&peers[0]);
    w->fed = adopted_pair(&peers[1]);
    w->fd = peers[0];
    w->group = parsed("224.0.0.251:0");
    must_be(ouro_datagram_bind(&w->udp, &any, NULL), 0);
    must_be(ouro_datagram_bind(&w->udp_fed, &any, NULL), 0);
    must_be(ouro_recv_source_open(&w->source, w->fed, 0), 0);
    plain_send(peers[1], "data", 4);
    must_be(ouro_recv_next(&w->source, &w->lease), 4);
    plain_send(peers[1], "more", 4);
    must_be(ouro_await(&w->source.ready), 0);
    must_be(ouro_datagram_source_open(&w->datagrams, w->udp_fed, 0, 0), 0);
    must_be(ouro_poll_source_open(&w->poll, peers[1], POLLPRI, 0), 0);
    ouro_recv_start(&w->recv, w->conn, w->buf, 1);
}

static void open_tasks(struct world *w)
{
    must_be(ouro_scope_enter(&w->scope, 0), 0);
    must_be(ouro_spawn_joinable(&w->scope, long_sleep, NULL, 0, &w->fiber), 0);
    must_be(ouro_task_start(&w->scope, &w->task, nap_resume, "nap"), 0);
    must_be(ouro_sleep_start(&w->timer, 3600 * SEC), 0);
    w->futures[1] = &w->timer.future;
    must_be(ouro_promise_init(&w->promise), 0);
    ouro_promise_wait_start(&w->wait, &w->promise);
}

static void world_open(struct world *w, int peers[2])
{
    const char *path = temp_path("file");

    open_sockets(w, peers);
    open_tasks(w);
    must_be(ouro_open(&w->file, path, O_RDWR | O_CREAT, 0600), 0);
    must_be(ouro_open(&w->dir, "/tmp", O_PATH | O_DIRECTORY, 0), 0);
    w->part = (struct iovec){w->buf, 1};
    w->header = (struct msghdr){.msg_iov = &w->part, .msg_iovlen = 1};
    turns(3);
}

/* It works as it did. */
static void world_close(struct world *w, int peers[2])
{
    struct ouro_buf more;

    plain_send(peers[0], "x", 1);
    must_be(ouro_await(&w->recv.op.future), 1);
    must_be(ouro_recv_next(&w->source, &more), 4);
    ouro_buf_release(&more);
    ouro_buf_release(&w->lease);
    must_be(ouro_recv_source_close(&w->source), 0);
    must_be(ouro_datagram_source_close(&w->datagrams), 0);
    must_be(ouro_poll_source_close(&w->poll), 0);
    must_be(ouro_promise_complete(&w->promise, 7), 0);
    must_be(ouro_await(&w->wait.op.future), 7);
    ouro_timer_cancel(&w->timer);
    must_be(w->timer.future.result, -ECANCELED);
    ouro_scope_cancel(&w->scope);
    must_be(ouro_scope_leave(&w->scope), 0);
    must_be(ouro_listener_close(w->listener), 0);
    must_be(ouro_close(w->conn), 0);
    must_be(ouro_close(w->fed), 0);
    must_be(ouro_close(w->udp), 0);
    must_be(ouro_close(w->udp_fed), 0);
    must_be(ouro_file_close(w->file), 0);
    must_be(ouro_file_close(w->dir), 0);
    close(peers[0]);
    close(peers[1]);
}

/* --- making the calls --------------------------------------------------------------------------
 */

/* The owner blocks its thread meanwhile: whatever of it changes, the call has changed. */
struct visit {
    struct world *world;
    struct shard *owner;
    struct world world_before;
    struct shard *owner_before;
    struct slot *slots_before;
    sem_t done;
};

static size_t slots_bytes(const struct shard *s)
{
    return s->slots.fresh * sizeof *s->slots.slot;
}

/* What the kernel has on loan is poisoned under AddressSanitizer; here it is only compared. */
#define UNCHECKED __attribute__((no_sanitize("address")))

UNCHECKED static void copy(void *to, const void *from, size_t n)
{
    volatile char *t = to;
    const volatile char *f = from;

    while (n-- != 0)
        *t++ = *f++;
}

UNCHECKED static bool same(const void *a, const void *b, size_t n)
{
    const volatile char *x = a, *y = b;

    while (n != 0 && *x++ == *y++)
        n--;
    return n == 0;
}

static void remember(struct visit *v)
{
    copy(&v->world_before, v->world, sizeof *v->world);
    copy(v->owner_before, v->owner, sizeof *v->owner);
    copy(v->slots_before, v->owner->slots.slot, slots_bytes(v->owner));
}

static void check_unchanged(const struct visit *v, const char *name)
{
    if (!same(&v->world_before, v->world, sizeof *v->world) ||
        !same(v->owner_before, v->owner, sizeof *v->owner) ||
        !same(v->slots_before, v->owner->slots.slot, slots_bytes(v->owner))) {
        fprintf(stderr, "%s has changed what it refused to use\n", name);
        must_fail(__FILE__, __LINE__, "nothing changes");
    }
}

static void make_call(struct visit *v, const struct row *row, int expected)
{
    struct scratch o = {.len = sizeof o.number, .interval = {.period_ns = SEC}};
    int result;

    if (expected == NO_THING)
        return;
    remember(v);
    result = row->call(v->world, &o);
    if (result != expected)
        fprintf(stderr, "%s on shard %d: %s\n", row->name, ouro_current_shard(),
                ouro_error_name(result));
    must_be(result, expected);
    check_unchanged(v, row->name);
}

/* [CTX-3]: nothing here makes a task go on. */
static int on_other_shard(void *arg)
{
    struct visit *v = arg;

    must_be(ouro_current_shard(), 1);
    for (size_t i = 0; i < ROWS; i++)
        make_call(v, &rows[i], rows[i].other);
    sem_post(&v->done);
    return 0;
}

static void *off_shards(void *arg)
{
    struct visit *v = arg;

    remember(v);
    must_be(ouro_timer_start(&v->world->timer, 0), -EBUSY); /* it is pending, there */
    check_unchanged(v, "ouro_timer_start");
    for (size_t i = 0; i < ROWS; i++)
        make_call(v, &rows[i], rows[i].off_shard);
    must_be(ouro_spawn_remote(1, on_other_shard, v, "visitor"), 0);
    while (sem_wait(&v->done) != 0)
        continue;
    return NULL;
}

static int visited_main(void *arg)
{
    static struct world w;
    struct visit v = {.world = &w, .owner = shard_self};
    pthread_t thread;
    int peers[2];

    (void)arg;
    memset(&w, 0, sizeof w);
    world_open(&w, peers);
    v.owner_before = malloc(sizeof *v.owner_before);
    v.slots_before = malloc(slots_bytes(v.owner));
    must(v.owner_before != NULL && v.slots_before != NULL);
    must_be(sem_init(&v.done, 0, 0), 0);
    must_be(pthread_create(&thread, NULL, off_shards, &v), 0);
    must_be(pthread_join(thread, NULL), 0); /* holds up this shard */
    sem_destroy(&v.done);
    free(v.owner_before);
    free(v.slots_before);
    world_close(&w, peers);
    return 0;
}

static void each_gives_its_error(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, visited_main, NULL), 0);
}

/* --- those that abort --------------------------------------------------------------------------
 */

struct crime {
    const struct row *row;
    bool on_shard;
    struct world *world;
};

static int commit_there(void *arg)
{
    struct crime *c = arg;
    struct scratch o = {};

    (void)c->row->call(c->world, &o);
    _exit(3); /* alive */
}

static void *commit_outside(void *arg)
{
    commit_there(arg);
    return NULL;
}

static int criminal_main(void *arg)
{
    static struct world w;
    struct crime *c = arg;
    pthread_t thread;
    int peers[2];

    world_open(&w, peers);
    c->world = &w;
    if (c->on_shard) {
        must_be(ouro_spawn_remote(1, commit_there, c, "criminal"), 0);
    } else {
        must_be(pthread_create(&thread, NULL, commit_outside, c), 0);
    }
    return ouro_sleep(30 * SEC);
}

static int criminal(void *arg)
{
    return run_on(2, criminal_main, arg);
}

static void must_abort(const struct row *row, bool on_shard)
{
    struct crime crime = {.row = row, .on_shard = on_shard};
    struct child c;

    in_child(&c, criminal, &crime);
    if (!WIFSIGNALED(c.status) || WTERMSIG(c.status) != SIGABRT ||
        strstr(c.said, "ouro: ") == NULL || strstr(c.said, "shard") == NULL)
        fail_msg("%s %s did not abort with a message: status %d, '%s'", row->name,
                 on_shard ? "on another shard" : "off shards", c.status, c.said);
    child_free(&c);
}

static void the_others_abort(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind != RETURNS)
            must_abort(&rows[i], true);
        if (rows[i].kind == ABORTS)
            must_abort(&rows[i], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gives_its_error),
        cmocka_unit_test(the_others_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
