/* SPDX-License-Identifier: MIT */
/* Once a shard runs, nothing on its hot paths allocates: every function of malloc's family counts
 * here, by thread, and after a first round each scene has to go on without one call. */
#include "support/net_support.h"

#include <fcntl.h>
#include <malloc.h>

#define ROUNDS 50u

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static __thread unsigned long calls;

/* Sanitizers and valgrind bring their own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FOREIGN_MALLOC 1
#endif
#endif
#else
#define FOREIGN_MALLOC 1
#endif

#ifndef FOREIGN_MALLOC
void *malloc(size_t bytes)
{
    calls++;
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    calls++;
    return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
    calls++;
    return __libc_realloc(p, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    calls++;
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    *out = memalign(alignment, bytes);
    return *out == NULL ? ENOMEM : 0;
}
#endif

static bool counts(void)
{
    unsigned long before = calls;
    void *volatile p = malloc(100);

    free(p);
    return calls != before;
}

/* The first round may fill pools: stacks, buffers, the socket layer of the C library. */
static void go_without(const char *what, void (*round)(void *arg), void *arg)
{
    unsigned long before;

    for (unsigned i = 0; i < 2; i++)
        round(arg);
    before = calls;
    for (unsigned i = 0; i < ROUNDS; i++)
        round(arg);
    if (calls != before)
        fprintf(stderr, "%s: %lu allocations in %u rounds\n", what, calls - before, ROUNDS);
    must_be(calls, before);
}

/* --- echoes -------------------------------------------------------------------------------------
 */

struct echo {
    struct pair p;
    struct ouro_task task; /* stackless */
    struct ouro_recv recv;
    struct ouro_send_all send;
    char buf[1024];
};

static int echo_fiber(void *arg)
{
    struct echo *e = arg;
    char buf[1024];
    ssize_t n;

    while ((n = ouro_recv(e->p.far, buf, sizeof buf)) > 0)
        must_be(ouro_send_all(e->p.far, buf, (size_t)n), n);
    return 0;
}

static int echo_multishot(void *arg)
{
    struct echo *e = arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf lease;
    int n;

    must_be(ouro_recv_source_open(&source, e->p.far, 0), 0);
    while ((n = ouro_recv_next(&source, &lease)) > 0) {
        must_be(ouro_send_all(e->p.far, lease.data, lease.len), n);
        ouro_buf_release(&lease);
    }
    return 0;
}

static void echo_resume(struct ouro_task *task)
{
    struct echo *e = OURO_FRAME(task, struct echo, task);

    OURO_BEGIN(task);
    for (;;) {
        ouro_recv_start(&e->recv, e->p.far, e->buf, sizeof e->buf);
        OURO_AWAIT(task, &e->recv.op.future);
        if (ouro_result(&e->recv.op.future) <= 0)
            break;
        ouro_send_all_start(&e->send, e->p.far, e->buf, (size_t)ouro_result(&e->recv.op.future));
        OURO_AWAIT(task, &e->send.op.future);
        must(ouro_result(&e->send.op.future) > 0);
    }
    OURO_END(task, 0);
}

static void ping(void *arg)
{
    struct echo *e = arg;
    char out[512], in[512];

    memset(out, 'p', sizeof out);
    must_be(ouro_send_all(e->p.near, out, sizeof out), sizeof out);
    for (size_t n = 0; n < sizeof in;) {
        ssize_t more = ouro_recv(e->p.near, in + n, sizeof in - n);

        must(more > 0);
        n += (size_t)more;
    }
}

static void echoes(struct echo *e, const char *what, enum family f, ouro_task_fn *fiber)
{
    struct ouro_scope scope;

    *e = (struct echo){0};
    pair_open(&e->p, f);
    must_be(ouro_scope_enter(&scope, 0), 0);
    if (fiber != NULL)
        must_be(ouro_spawn(&scope, fiber, e, 0), 0);
    else
        must_be(ouro_task_start(&scope, &e->task, echo_resume, "echo"), 0);
    go_without(what, ping, e);
    must_be(ouro_shutdown(e->p.near, SHUT_WR), 0);
    must_be(ouro_scope_leave(&scope), 0);
    pair_close(&e->p);
}

static int echo_main(void *arg)
{
    static struct echo e;
    enum family f = *(enum family *)arg;

    echoes(&e, "echo by a fiber", f, echo_fiber);
    echoes(&e, "echo by a receive source", f, echo_multishot);
    echoes(&e, "echo by a stackless task", f, NULL);
    return 0;
}
ON_EACH_FAMILY(echo)

/* --- connections
 * ----------------------------------------------------------------------------------
 */

struct server {
    ouro_listener listener;
    struct ouro_addr addr;
};

static void connection(void *arg)
{
    struct server *server = arg;
    ouro_conn near, far;

    must_be(ouro_connect(&near, &server->addr, NULL, 5 * SEC), 0);
    must_be(ouro_accept(server->listener, &far), 0);
    must_be(ouro_close(near), 0);
    must_be(ouro_close(far), 0);
}

static int connections_main(void *arg)
{
    struct server server;

    server.listener = listen_on(*(enum family *)arg, &server.addr);
    go_without("connect, accept, close", connection, &server);
    must_be(ouro_listener_close(server.listener), 0);
    return 0;
}
ON_EACH_FAMILY(connections)

/* --- files --------------------------------------------------------------------------------------
 */

static void file_round(void *arg)
{
    const char *path = arg;
    char out[4096], in[4096];
    struct iovec part = {in, sizeof in};
    struct ouro_rw op;
    ouro_file file;

    memset(out, 'f', sizeof out);
    must_be(ouro_open(&file, path, O_RDWR | O_CREAT, 0600), 0);
    ouro_write_start(&op, file, out, sizeof out, 0);
    must_be(ouro_await(&op.op.future), sizeof out);
    ouro_read_start(&op, file, in, sizeof in, 0);
    must_be(ouro_await(&op.op.future), sizeof in);
    ouro_readv_start(&op, file, &part, 1, 0);
    must_be(ouro_await(&op.op.future), sizeof in);
    must_be(ouro_file_close(file), 0);
}

static int files_main(void *arg)
{
    char path[256];

    (void)arg;
    snprintf(path, sizeof path, "%s", temp_path("file"));
    go_without("open, write, read, close", file_round, path);
    return 0;
}
ON_ONE_SHARD(files)

/* --- time ---------------------------------------------------------------------------------------
 */

static void timers_round(void *arg)
{
    struct ouro_timer timer[20] = {0};
    struct ouro_future *all[20];

    (void)arg;
    for (unsigned i = 0; i < 20; i++) {
        must_be(ouro_timer_start(&timer[i], ouro_after_ns(i < 10 ? i * 100 * US : (i << 10) * SEC)),
                0);
        all[i] = &timer[i].future;
    }
    must_be(ouro_await_all(all, 10, OURO_FOREVER), 0);
    must_be(ouro_await_all(all, 20, ouro_after_ns(200 * US)), -ETIMEDOUT);
    must_be(ouro_sleep(50 * US), 0);
}

static int timers_main(void *arg)
{
    (void)arg;
    go_without("timers", timers_round, NULL);
    return 0;
}
ON_ONE_SHARD(timers)

/* --- tasks --------------------------------------------------------------------------------------
 */

static int naps(void *arg)
{
    (void)arg;
    return ouro_sleep(100 * SEC) == -ECANCELED ? 1 : 2;
}

static int yields(void *arg)
{
    for (int i = *(int *)arg; i > 0; i--)
        (void)ouro_yield();
    return 3;
}

static void tasks_round(void *arg)
{
    struct ouro_scope scope;
    ouro_fiber fiber[20];
    int value = 0, n = 3;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 20; i++)
        must_be(ouro_spawn_joinable(&scope, yields, &n, sizeof n, &fiber[i]), 0);
    for (unsigned i = 0; i < 20; i++) {
        must_be(ouro_join(fiber[i], &value), OURO_END_RETURNED);
        must_be(value, 3);
    }
    for (unsigned i = 0; i < 20; i++)
        must_be(ouro_spawn(&scope, naps, NULL, 0), 0);
    (void)ouro_yield();
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
}

static int tasks_main(void *arg)
{
    (void)arg;
    go_without("spawn, join, cancel", tasks_round, NULL);
    return 0;
}
ON_ONE_SHARD(tasks)

/* --- cancellation -------------------------------------------------------------------------------
 */

static void cancel_round(void *arg)
{
    const struct pair *p = arg;
    struct ouro_recv r;
    char buf[16];

    ouro_recv_start(&r, p->far, buf, sizeof buf);
    must_be(ouro_await_for(&r.op.future, 100 * US), -ETIMEDOUT);
    ouro_recv_start(&r, p->far, buf, sizeof buf);
    ouro_cancel(&r.op.future);
    must_be(ouro_await(&r.op.future), -ECANCELED);
    {
        OURO_OP(struct ouro_recv, left);

        ouro_recv_start(&left, p->near, buf, sizeof buf);
    }
}

static int cancels_main(void *arg)
{
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    go_without("time-outs and cancellations", cancel_round, &p);
    pair_close(&p);
    return 0;
}
ON_ONE_SHARD(cancels)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo),   cmocka_unit_test(connections), cmocka_unit_test(files),
        cmocka_unit_test(timers), cmocka_unit_test(tasks),       cmocka_unit_test(cancels),
    };

    if (!counts()) {
        fprintf(stderr, "another allocator is in the way\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
