/* SPDX-License-Identifier: MIT */
/* Files that are streams: pipes, eventfds, terminals, the position of a regular file. A read or a
 * write that waits holds nobody, and is cut short: cancelled, out of time, closed. */
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>

static char buf[1 << 17];

/* --- what there is to read from --------------------------------------------------------------- */

enum source { PIPE, EVENT, TERMINAL, SOURCES };
static const char *const source_name[SOURCES] = {"pipe", "eventfd", "terminal"};

struct blocked {
    ouro_file file;
    int feed; /* an ordinary descriptor that gives it something to read */
};

static int terminal(int *slave)
{
    struct termios raw;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    must(master >= 0);
    must_be(grantpt(master), 0);
    must_be(unlockpt(master), 0);
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(*slave >= 0);
    must_be(tcgetattr(*slave, &raw), 0);
    cfmakeraw(&raw);
    must_be(tcsetattr(*slave, TCSANOW, &raw), 0);
    return master;
}

/* As another program may have left it: not blocking, or blocking. */
static void blocked_open(struct blocked *b, enum source source, bool nonblock)
{
    int fd[2];

    switch (source) {
    case PIPE:
        must_be(pipe2(fd, O_CLOEXEC), 0);
        b->feed = fd[1];
        break;
    case EVENT:
        fd[0] = eventfd(0, EFD_CLOEXEC);
        b->feed = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
        break;
    default:
        b->feed = terminal(&fd[0]);
        break;
    }
    if (nonblock)
        must_be(fcntl(fd[0], F_SETFL, fcntl(fd[0], F_GETFL) | O_NONBLOCK), 0);
    must_be(ouro_file_adopt(&b->file, fd[0]), 0);
}

static void feed(struct blocked *b)
{
    uint64_t eight = 1;

    must_be(write(b->feed, &eight, sizeof eight), sizeof eight);
}

static struct ouro_future *start(void *arg)
{
    static struct ouro_rw r;
    struct blocked *b = arg;

    ouro_read_start(&r, b->file, buf, sizeof buf, OURO_STREAM);
    return &r.op.future;
}

/* The read waits; the shard goes on meanwhile, many turns of it. */
static void blocks(struct waiter *w)
{
    until(w->started);
    for (int i = 0; i < 3; i++)
        must_be(ouro_sleep(MS), 0);
    must(!w->ended);
}

static int reads_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < SOURCES * STYLES * 2; i++) {
        enum style style = i % STYLES;
        enum source source = i / STYLES % SOURCES;
        struct blocked b;
        struct waiter w = {.start = start, .arg = &b};
        struct ouro_close c;

        blocked_open(&b, source, i >= SOURCES * STYLES);
        printf("%s, %s\n", source_name[source], style_name[style]);

        waiter_spawn(&w, style, NULL);
        blocks(&w);
        feed(&b);
        until(w.ended);
        must_be(w.result, 8);

        waiter_spawn(&w, style, NULL);
        blocks(&w);
        waiter_cancel(&w);
        until(w.ended);
        must_be(w.result, -ECANCELED);

        w.deadline_ns = ouro_after_ns(5 * MS);
        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
        w.deadline_ns = 0;

        feed(&b); /* none of those took it */
        must_be(ouro_read(b.file, buf, sizeof buf, OURO_STREAM), 8);

        waiter_spawn(&w, style, NULL);
        blocks(&w);
        ouro_file_close_start(&c, b.file);
        must_be(ouro_await(&c.op.future), 0);
        until(w.ended);
        must_be(w.result, -ECANCELED);
        must_be(ouro_read(b.file, buf, 1, OURO_STREAM), -EBADF);
        close(b.feed);
    }
    return 0;
}

/* --- pipes ------------------------------------------------------------------------------------ */

static int pipes_main(void *arg)
{
    struct iovec parts[] = {{(void *)(uintptr_t) "two ", 4}, {(void *)(uintptr_t) "parts", 5}};
    ouro_file ends[2];

    (void)arg;
    must_be(ouro_pipe(NULL), -EINVAL);
    must_be(ouro_pipe(ends), 0);
    must_be(ouro_write(ends[1], "one", 3, OURO_STREAM), 3);
    must_be(ouro_read(ends[0], buf, sizeof buf, 12345), 3); /* no position: any offset will do */
    must(memcmp(buf, "one", 3) == 0);
    must_be(ouro_writev(ends[1], parts, 2, OURO_STREAM), 9);
    parts[0] = (struct iovec){buf, 2};
    parts[1] = (struct iovec){buf + 2, 100};
    must_be(ouro_readv(ends[0], parts, 2, OURO_STREAM), 9);
    must(memcmp(buf, "two parts", 9) == 0);
    must(ouro_write(ends[0], "x", 1, OURO_STREAM) < 0); /* the wrong end */
    must(ouro_read(ends[1], buf, 1, OURO_STREAM) < 0);

    must_be(ouro_write(ends[1], "last", 4, OURO_STREAM), 4);
    must_be(ouro_file_close(ends[1]), 0);
    must_be(ouro_read(ends[0], buf, sizeof buf, OURO_STREAM), 4);
    must_be(ouro_read(ends[0], buf, sizeof buf, OURO_STREAM), 0);
    must_be(ouro_file_close(ends[0]), 0);

    must_be(ouro_pipe(ends), 0);
    must_be(ouro_file_close(ends[0]), 0);
    must_be(ouro_write(ends[1], "x", 1, OURO_STREAM), -EPIPE);
    must_be(ouro_file_close(ends[1]), 0);
    return 0;
}

/* A write for which there is no room. */
static int full_main(void *arg)
{
    struct ouro_rw w;
    ouro_file ends[2];
    ssize_t n, held = 0;

    (void)arg;
    must_be(ouro_pipe(ends), 0);
    do {
        ouro_write_start(&w, ends[1], buf, 4096, OURO_STREAM);
        n = ouro_await_for(&w.op.future, 20 * MS);
        held += n > 0 ? n : 0;
    } while (n > 0);
    must_be(n, -ETIMEDOUT);
    must(held >= 4096);
    ouro_write_start(&w, ends[1], buf, 4096, OURO_STREAM);
    turns(3);
    must(!ouro_done(&w.op.future));
    for (ssize_t got = 0; got < held; got += n)
        must((n = ouro_read(ends[0], buf, sizeof buf, OURO_STREAM)) > 0);
    n = ouro_await(&w.op.future);
    must_be(n, 4096); /* there is room now */
    must_be(ouro_file_close(ends[1]), 0);
    must_be(ouro_file_close(ends[0]), 0);
    return 0;
}

/* Through one pipe, both ends at work. */
enum { BYTES = 1 << 20 };

static int writes(void *arg)
{
    static uint8_t out[10000];
    ouro_file to = *(ouro_file *)arg;

    for (size_t at = 0; at < BYTES;) {
        size_t len = BYTES - at < sizeof out ? BYTES - at : sizeof out;
        ssize_t n;

        pattern_fill(out, len, 5, at);
        n = ouro_write(to, out, len, OURO_STREAM);
        must(n > 0);
        at += (size_t)n;
    }
    return ouro_file_close(to);
}

static int through_main(void *arg)
{
    ouro_file ends[2];
    size_t at = 0;
    ssize_t n;

    (void)arg;
    must_be(ouro_pipe(ends), 0);
    must_be(ouro_spawn(NULL, writes, &ends[1], sizeof ends[1]), 0);
    while ((n = ouro_read(ends[0], buf, 7777, OURO_STREAM)) > 0) {
        pattern_check(buf, (size_t)n, 5, at);
        at += (size_t)n;
    }
    must_be(n, 0);
    must_be(at, BYTES);
    must_be(ouro_file_close(ends[0]), 0);
    return 0;
}

/* --- positions -------------------------------------------------------------------------------- */

static int position_main(void *arg)
{
    ouro_file f;

    (void)arg;
    must_be(ouro_open(&f, temp_path("stream"), O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
    must_be(ouro_write(f, "abc", 3, OURO_STREAM), 3);
    must_be(ouro_write(f, "def", 3, OURO_STREAM), 3);
    must_be(ouro_read(f, buf, 10, OURO_STREAM), 0); /* the end */
    must_be(ouro_read(f, buf, 4, 1), 4);            /* elsewhere: the position stays */
    must(memcmp(buf, "bcde", 4) == 0);
    must_be(ouro_write(f, "ghi", 3, OURO_STREAM), 3);
    must_be(ouro_read(f, buf, 20, 0), 9);
    must(memcmp(buf, "abcdefghi", 9) == 0);
    must_be(ouro_read(f, buf, 1, OURO_STREAM - 1), -EINVAL);
    must_be(ouro_write(f, buf, 1, (uint64_t)INT64_MAX + 1), -EINVAL);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* --- in and out ------------------------------------------------------------------------------- */

static int adopt_main(void *arg)
{
    ouro_file file = {0}, ends[2];
    struct ouro_rw r;
    int fd[2], given;

    (void)arg;
    must_be(ouro_file_adopt(NULL, 0), -EINVAL);
    must_be(ouro_file_adopt(&file, -1), -EBADF);
    must_be(ouro_file_adopt(&file, 1 << 20), -EBADF);
    must_be(file.id, 0);

    must_be(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
    must_be(ouro_file_adopt(&file, fd[0]), 0);
    must_be(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
    ouro_read_start(&r, file, buf, sizeof buf, OURO_STREAM);
    must_be(ouro_file_give_out(file), -EBUSY);
    turns(2);
    must_be(ouro_file_give_out(file), -EBUSY);
    must_be(write(fd[1], "x", 1), 1);
    must_be(ouro_await(&r.op.future), 1);
    given = ouro_file_give_out(file);
    must_be(given, fd[0]); /* as it was */
    must_be(ouro_file_give_out(file), -EBADF);
    must_be(ouro_read(file, buf, 1, OURO_STREAM), -EBADF);
    must_be(write(fd[1], "y", 1), 1);
    must_be(read(given, buf, 1), 1);
    close(given);
    close(fd[1]);

    must_be(ouro_pipe(ends), 0);
    given = ouro_file_give_out(ends[1]);
    must(given >= 0);
    must(fcntl(given, F_GETFD) & FD_CLOEXEC);
    must_be(write(given, "z", 1), 1);
    must_be(ouro_read(ends[0], buf, sizeof buf, OURO_STREAM), 1);
    close(given);
    must_be(ouro_read(ends[0], buf, sizeof buf, OURO_STREAM), 0); /* that was the last */
    must_be(ouro_file_close(ends[0]), 0);

    must_be(ouro_open(&file, temp_path("given"), O_RDWR | O_CREAT, 0600), 0);
    given = ouro_file_give_out(file);
    if (given == -EOPNOTSUPP) { /* a direct one, on a kernel that cannot */
        must_be(ouro_file_close(file), 0);
        return 0;
    }
    must(given >= 0);
    must_be(write(given, "by hand", 7), 7);
    must_be(ouro_file_close(file), -EBADF);
    close(given);
    return 0;
}

static void refused(void **state)
{
    ouro_file file, ends[2];

    (void)state;
    assert_int_equal(ouro_file_adopt(&file, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_file_give_out((ouro_file){0}), -OURO_ENOSHARD);
    assert_int_equal(ouro_pipe(ends), -OURO_ENOSHARD);
}

/* No descriptors left: an error, and nothing leaks. */
static int exhausted_main(void *arg)
{
    struct rlimit was, few;
    ouro_file ends[2];
    int last;

    (void)arg;
    must_be(getrlimit(RLIMIT_NOFILE, &was), 0);
    last = fcntl(2, F_DUPFD_CLOEXEC, 0); /* the lowest that is free */
    must(last >= 0);
    few = was;
    for (int room = 0; room < 2; room++) {
        few.rlim_cur = (rlim_t)(last + 1 + room);
        must_be(setrlimit(RLIMIT_NOFILE, &few), 0);
        must_be(ouro_pipe(ends), -EMFILE);
    }
    must_be(setrlimit(RLIMIT_NOFILE, &was), 0);
    close(last);
    must_be(ouro_pipe(ends), 0);
    must_be(ouro_file_close(ends[0]), 0);
    must_be(ouro_file_close(ends[1]), 0);
    return 0;
}

/* Closed while it waits, or when one step is over and the next has not begun: the same. */
static int full_closed_main(void *arg)
{
    (void)arg;
    for (int between = 0; between < 2; between++) {
        struct ouro_full f;
        struct ouro_close c;
        ouro_file ends[2];

        must_be(ouro_pipe(ends), 0);
        ouro_read_full_start(&f, ends[0], buf, 2, OURO_STREAM);
        if (between != 0)
            must_be(ouro_write(ends[1], "x", 1, OURO_STREAM), 1);
        ouro_file_close_start(&c, ends[0]);
        must_be(ouro_await(&f.op.future), -ECANCELED);
        must_be(f.done, between);
        must_be(ouro_await(&c.op.future), 0);
        must_be(ouro_file_close(ends[1]), 0);
    }
    return 0;
}

ON_ONE_SHARD(full_closed)
ON_ONE_SHARD(reads)
ON_ONE_SHARD(pipes)
ON_ONE_SHARD(full)
ON_ONE_SHARD(through)
ON_ONE_SHARD(position)
ON_ONE_SHARD(adopt)
ON_ONE_SHARD(exhausted)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),   cmocka_unit_test(pipes),     cmocka_unit_test(full),
        cmocka_unit_test(through), cmocka_unit_test(position),  cmocka_unit_test(adopt),
        cmocka_unit_test(refused), cmocka_unit_test(exhausted), cmocka_unit_test(full_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
