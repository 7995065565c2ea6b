/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#include <ouro/file.h>
#include <sys/stat.h>

#define BYTES 6000

/* --- files ------------------------------------------------------------------------------------ */

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

int scene_file(void *arg)
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

/* --- time ------------------------------------------------------------------------------------- */

/* Starting and stopping, and nothing between. */
int scene_start(void *arg)
{
    (void)arg;
    return 0;
}

/* Never early; a wait with a deadline ends, and what it waited for has ended too. */
int scene_timers(void *arg)
{
    const struct scene_call *c = arg;
    uint64_t start = ouro_now_precise_ns();
    struct ouro_interval interval;
    struct outside o;
    struct ouro_recv r;
    OURO_TIMER(late);
    char in[8];
    int n;

    must_be(ouro_sleep(MS), 0);
    must(ouro_now_precise_ns() >= start + MS);
    must_be(ouro_interval_init(&interval, MS), 0);
    for (int i = 0; i < 3; i++)
        must_be(ouro_interval_tick(&interval), 0);
    must(ouro_now_precise_ns() >= start + 4 * MS - OURO_TICK_NS);
    must_be(ouro_sleep_start(&late, SEC), 0);
    outside_open(&o, c->family);
    ouro_recv_start(&r, o.conn, in, sizeof in);
    n = ouro_await_for(&r.op.future, MS);
    must(n == -ETIMEDOUT || injected(c, n));
    must(ouro_done(&r.op.future));
    ouro_timer_cancel(&late);
    must_be(ouro_result(&late.future), -ECANCELED);
    outside_close(&o);
    return 0;
}
