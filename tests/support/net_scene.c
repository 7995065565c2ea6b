/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#include <ouro/file.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#define BYTES 6000

/* --- what may come
 * --------------------------------------------------------------------------------------- */

/* True for the error that was injected into an operation: it did nothing, and may be tried again.
 */
static bool injected(const struct scene_call *c, long result)
{
    return c->fault->where == FAULT_OPERATION && result == c->fault->error;
}

/* True for the end of a connection whose other side met the error. */
static bool other_side_gave_up(const struct scene_call *c, long result)
{
    return c->fault->where == FAULT_OPERATION &&
           (result == 0 || result == -ECONNRESET || result == -EPIPE);
}

#define again_while_injected(c, result, call)                                                      \
    do {                                                                                           \
        result = (call);                                                                           \
    } while (injected(c, result))

static void connect_to(const struct scene_call *c, ouro_conn *conn, const struct ouro_addr *to)
{
    int error;

    again_while_injected(c, error, ouro_connect(conn, to, NULL, 10 * SEC));
    must_be(error, 0);
}

/* --- echo
 * -------------------------------------------------------------------------------------------------
 */

/* Receives `len` bytes of the pattern from `at` on; true if they came. False: the service met the
 * error, and what did come was right. */
static bool receive_pattern(const struct scene_call *c, ouro_conn conn, size_t at, size_t len)
{
    uint8_t in[2000];
    size_t got = 0;

    while (got < len) {
        ssize_t n = ouro_recv(conn, in, sizeof in);

        if (injected(c, n))
            continue;
        if (n <= 0) {
            must(other_side_gave_up(c, n));
            return false;
        }
        pattern_check(in, (size_t)n, 7, at + got);
        got += (size_t)n;
        must(got <= len);
    }
    return true;
}

/* Sends a pattern and receives it back, piece by piece. */
static void exchange_pattern(const struct scene_call *c, ouro_conn conn)
{
    static uint8_t out[BYTES];
    size_t at = 0;

    pattern_fill(out, BYTES, 7, 0);
    while (at < BYTES) {
        ssize_t n = ouro_send(conn, out + at, BYTES - at < 1500 ? BYTES - at : 1500);

        if (injected(c, n))
            continue;
        if (n <= 0) {
            must(other_side_gave_up(c, n));
            return;
        }
        if (!receive_pattern(c, conn, at, (size_t)n))
            return;
        at += (size_t)n;
    }
}

static int echo_main(void *arg)
{
    const struct scene_call *c = arg;
    struct echo e;
    ouro_conn conn[2];
    int error;

    echo_start(&e, c->form, c->family);
    for (int i = 0; i < 2; i++)
        connect_to(c, &conn[i], &e.bound);
    for (int i = 0; i < 2; i++)
        exchange_pattern(c, conn[i]);
    again_while_injected(c, error, ouro_shutdown(conn[0], SHUT_WR));
    must(error == 0 || error == -ENOTCONN);
    for (int i = 0; i < 2; i++)
        must_be(ouro_close(conn[i]), 0);
    until(e.served + e.failed == 2);
    must(c->fault->where == FAULT_OPERATION || e.failed == 0);
    echo_stop(&e);
    until(pools_whole());
    return 0;
}

/* Whole calls: send_all and its parts end with an error or with everything, and `sent` is the
 * truth. */
static int send_all_main(void *arg)
{
    enum { SOME = 200 }; /* few enough for the socket to take, three bytes at a time */
    const struct scene_call *c = arg;
    static uint8_t out[SOME], in[3 * SOME];
    struct ouro_send_all all;
    struct ouro_sendv_all vall;
    struct iovec iov[3] = {{out, 100}, {out + 100, 0}, {out + 100, SOME - 100}};
    struct outside o;
    size_t sent, got = 0;
    ssize_t n;

    pattern_fill(out, SOME, 8, 0);
    outside_open(&o, c->family);
    ouro_send_all_start(&all, o.conn, out, SOME);
    n = ouro_await(&all.op.future);
    must(n == SOME || injected(c, n));
    must(n == SOME ? all.sent == SOME : all.sent < SOME);
    sent = all.sent;
    ouro_sendv_all_start(&vall, o.conn, iov, 3);
    n = ouro_await(&vall.op.future);
    must(n == SOME || injected(c, n));
    must_be(ouro_close(o.conn), 0);
    turns(2);
    while ((n = plain_read(o.fd, in + got, sizeof in - got)) > 0)
        got += (size_t)n;
    must_be(got, sent + vall.sent);
    pattern_check(in, sent, 8, 0);
    pattern_check(in + sent, vall.sent, 8, 0);
    close(o.fd);
    return 0;
}

/* --- files
 * ------------------------------------------------------------------------------------------------
 */

static void copy(const struct scene_call *c, ouro_file from, ouro_file to)
{
    uint8_t buf[1024];
    uint64_t at = 0;
    ssize_t n, k;

    for (;;) {
        size_t done = 0;

        again_while_injected(c, n, ouro_read(from, buf, sizeof buf, at));
        must(n >= 0);
        if (n == 0)
            return;
        pattern_check(buf, (size_t)n, 9, at);
        while (done < (size_t)n) {
            again_while_injected(c, k, ouro_write(to, buf + done, (size_t)n - done, at + done));
            must(k > 0);
            done += (size_t)k;
        }
        at += (uint64_t)n;
    }
}

static int file_main(void *arg)
{
    const struct scene_call *c = arg;
    const char *from_path = temp_path("from"), *to_path = temp_path("to");
    static uint8_t buf[BYTES];
    ouro_file from, to;
    struct stat st;
    FILE *f = fopen(from_path, "w");
    int error;

    must(f != NULL);
    pattern_fill(buf, BYTES, 9, 0);
    must_be(fwrite(buf, 1, BYTES, f), BYTES);
    fclose(f);
    again_while_injected(c, error, ouro_open(&from, from_path, O_RDONLY, 0));
    must_be(error, 0);
    again_while_injected(c, error, ouro_open(&to, to_path, O_RDWR | O_CREAT | O_TRUNC, 0600));
    must_be(error, 0);
    copy(c, from, to);
    again_while_injected(c, error, ouro_fsync(to));
    must_be(error, 0);
    must_be(stat(to_path, &st), 0);
    must_be(st.st_size, BYTES);
    memset(buf, 0, sizeof buf);
    f = fopen(to_path, "r");
    must_be(fread(buf, 1, BYTES, f), BYTES);
    fclose(f);
    pattern_check(buf, BYTES, 9, 0);
    must_be(ouro_file_close(from), 0);
    must_be(ouro_file_close(to), 0);
    return 0;
}

/* --- cancelling
 * ------------------------------------------------------------------------------------------- */

static void ends(const struct scene_call *c, int result, int expected)
{
    if (!injected(c, result))
        must_be(result, expected);
}

static int cancel_main(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_recv_source source;
    struct ouro_recv r[3];
    struct ouro_poll p;
    struct ouro_buf buf;
    struct ouro_addr a;
    struct outside o;
    ouro_conn conn;
    ouro_listener l;
    char in[3][8];
    int n;

    outside_open(&o, c->family);
    ouro_recv_start(&r[0], o.conn, in[0], 8);
    ends(c, ouro_await_for(&r[0].op.future, MS), -ETIMEDOUT);
    ouro_recv_start(&r[1], o.conn, in[1], 8);
    turns(2);
    ouro_cancel(&r[1].op.future);
    ends(c, ouro_await(&r[1].op.future), -ECANCELED);
    ouro_poll_start(&p, o.fd, POLLIN);
    turns(1);
    ouro_cancel(&p.op.future);
    ends(c, ouro_await(&p.op.future), -ECANCELED);
    must_be(ouro_recv_source_open(&source, o.conn, 2), 0);
    turns(2);
    plain_send(o.fd, "data", 4);
    turns(2);
    ouro_recv_source_stop(&source);
    (void)ouro_await(&source.op.future);
    n = ouro_recv_take(&source, &buf);
    must(n == 4 || n == -ECANCELED || injected(c, n));
    ouro_buf_release(&buf);
    must_be(ouro_recv_source_close(&source), 0);
    ouro_recv_start(&r[2], o.conn, in[2], 8);
    turns(2);
    must_be(ouro_close(o.conn), 0); /* with one in flight, perhaps */
    must(ouro_done(&r[2].op.future));
    close(o.fd);
    l = listen_on(c->family, &a);
    turns(2);
    must_be(ouro_accept_stop(l), 0);
    must_be(ouro_accept_drain(l, &conn), -EAGAIN);
    must_be(ouro_listener_close(l), 0);
    until(pools_whole());
    return 0;
}

/* --- what sockets are asked
 * ------------------------------------------------------------------------------- */

static int ask_main(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_addr bound, peer;
    int error, fd, value = 0;
    socklen_t len = sizeof value;
    ouro_listener l = listen_on(c->family, &bound);
    struct pair p;

    connect_to(c, &p.near, &bound);
    must_be(ouro_accept(l, &p.far), 0);
    again_while_injected(c, error, ouro_peer_addr(p.near, &peer));
    must_be(error, 0);
    must(ouro_addr_equal(&peer, &bound));
    again_while_injected(c, error, ouro_getsockopt(p.near, SOL_SOCKET, SO_TYPE, &value, &len));
    must_be(error, 0);
    must_be(value, SOCK_STREAM);
    again_while_injected(c, fd, ouro_conn_give_out(p.near));
    must(fd >= 0);
    plain_send(fd, "out", 3);
    close(fd);
    must_be(ouro_close_reset(p.far), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* --- stopping
 * --------------------------------------------------------------------------------------------- */

static int wait_for_ever(void *arg)
{
    struct outside *o = arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    char in[8];

    (void)ouro_recv(o->conn, in, sizeof in);
    if (ouro_recv_source_open(&source, o->conn, 0) == 0)
        (void)ouro_recv_next(&source, &buf);
    (void)ouro_sleep(OURO_FOREVER);
    (void)ouro_recv_source_close(&source);
    (void)ouro_close(o->conn);
    close(o->fd);
    return 0;
}

static int accept_for_ever(void *arg)
{
    ouro_listener l = *(ouro_listener *)arg;
    ouro_conn conn;

    while (ouro_accept(l, &conn) == 0)
        (void)ouro_close(conn);
    return ouro_listener_close(l);
}

static int stop_main(void *arg)
{
    static struct outside o[2];
    const struct scene_call *c = arg;
    struct ouro_addr bound;
    ouro_listener l = listen_on(c->family, &bound);

    for (int i = 0; i < 2; i++) {
        outside_open(&o[i], c->family);
        must_be(ouro_spawn(NULL, wait_for_ever, &o[i], 0), 0);
    }
    must_be(ouro_spawn(NULL, accept_for_ever, &l, sizeof l), 0);
    turns(3);
    plain_send(o[1].fd, "on", 2);
    turns(2);
    return 0;
}

/* --- running
 * ---------------------------------------------------------------------------------------------- */

const struct scene scenes[] = {
    {"echo", echo_main, false},     {"send_all", send_all_main, false}, {"file", file_main, false},
    {"cancel", cancel_main, false}, {"ask", ask_main, false},           {"stop", stop_main, true},
};
const unsigned scenes_n = sizeof scenes / sizeof scenes[0];

static const struct scene *current;
static struct fault current_fault;

static void out_of_time(int number)
{
    char text[160];
    int n = snprintf(text, sizeof text, "HANGS: %s, fault %d with %d at %u\n", current->name,
                     current_fault.where, current_fault.error, current_fault.at);

    (void)number;
    if (write(STDERR_FILENO, text, (size_t)n) == n)
        abort();
    abort();
}

struct running {
    const struct scene *scene;
    struct scene_call call;
};

static int run_scene(void *arg)
{
    struct running *r = arg;
    int value = r->scene->main(&r->call);
    char text[256];

    if (!r->scene->leaves_tasks) {
        leftovers(text, sizeof text);
        if (text[0] != '\0')
            must_fail(__FILE__, __LINE__, text);
    }
    return value;
}

unsigned scene_once(const struct scene *scene, const struct fault *fault, enum echo_form form)
{
    struct running r = {scene, {fault, form, form == ECHO_MULTISHOT ? UNIX : V4}};
    struct ouro_options o = small_options(1);
    unsigned descriptors = open_descriptors(), n;
    int value = -1, error;

    o.quiet = true;
    o.descriptors = 64;
    current = scene;
    current_fault = *fault;
    signal(SIGALRM, out_of_time);
    alarm(30);
    faulty_begin(fault);
    error = ouro_run(&o, run_scene, &r, &value);
    n = faulty_end();
    alarm(0);
    must(error == 0 ? value == 0 : error == fault->error && ouro_start_error()[0] != '\0');
    must(error == 0 || fault->where <= FAULT_REGISTER);
    must_be(open_descriptors(), descriptors);
    return n;
}

unsigned scene_under(const struct scene *scene, enum fault_where where, int error)
{
    unsigned sum = 0, forms = scene->main == echo_main ? ECHO_FORMS : 2;

    for (enum echo_form form = 0; form < forms; form++)
        for (unsigned k = 1;; k++) {
            struct fault f = {where, error, k};
            unsigned n = scene_once(scene, &f, form);

            if (n == 0)
                break;
            must(k < 5000);
            sum += n;
        }
    return sum;
}

unsigned scenes_under(enum fault_where where, int error)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < scenes_n; i++)
        sum += scene_under(&scenes[i], where, error);
    printf("%u faults\n", sum);
    assert_true(sum > 0);
    return sum;
}
