/* SPDX-License-Identifier: MIT */
/* Actors without a stack, on the same links as the others. */
#include "program.h"

struct stackless {
    struct ouro_task task;
    struct actor actor;
    uint64_t random;
    unsigned steps, depth;
    struct ouro_timer timer, deadline;
    struct link *link;
    unsigned end;
    size_t len;
    char *buf;
    bool sending;
    int result;
    union {
        struct ouro_send send;
        struct ouro_send_all all;
        struct ouro_recv recv;
    } op;
};

/* Chooses what to do next: the future to wait for, NULL: a sleep. */
static struct ouro_future *choose(struct stackless *s)
{
    struct actor *a = &s->actor;

    s->link = link_some(a, &s->end);
    s->sending = one_in(a, 2);
    s->len = some_size(a, BURST_MOST);
    if (s->link != NULL &&
        !(s->sending ? link_may_send(s->link, s->end, s->len) : link_may_recv(s->link, s->end)))
        s->link = NULL;
    if (s->link == NULL)
        return NULL;
    s->buf = malloc(s->len);
    must(s->buf != NULL);
    if (!s->sending) {
        ouro_recv_start(&s->op.recv, s->link->end[s->end], s->buf, s->len);
        return &s->op.recv.op.future;
    }
    pattern_fill(s->buf, s->len, s->link->way[s->end].seed, s->link->way[s->end].sent);
    if (one_in(a, 2)) {
        ouro_send_start(&s->op.send, s->link->end[s->end], s->buf, s->len);
        s->op.all.sent = SIZE_MAX; /* the other one */
        return &s->op.send.op.future;
    }
    ouro_send_all_start(&s->op.all, s->link->end[s->end], s->buf, s->len);
    return &s->op.all.op.future;
}

static void account(struct stackless *s, int result)
{
    size_t moved = result > 0 ? (size_t)result : 0;

    if (s->sending) {
        if (result < 0 && s->op.all.sent != SIZE_MAX)
            moved = s->op.all.sent;
        memset(s->buf, 0x55, s->len);
        link_sent(s->link, s->end, moved, result);
    } else {
        link_received(s->link, s->end, s->buf, result);
    }
    free(s->buf);
}

/* Every operation begins with its future, whichever it is. */
static struct ouro_future *future_of(struct stackless *s)
{
    return &s->op.send.op.future;
}

static void stackless_resume(struct ouro_task *task)
{
    struct stackless *s = OURO_FRAME(task, struct stackless, task);

    OURO_BEGIN(task);
    s->actor.task = task;
    actor_enter(&s->actor, s->random, s->steps, s->depth);
    while (s->actor.steps-- != 0 && !ouro_cancelled()) {
        store_relaxed(&s->actor.doing, "stackless");
        if (choose(s) != NULL) {
            OURO_AWAIT_UNTIL(task, future_of(s), &s->deadline,
                             ouro_after_ns(below(&s->actor, 2000) * US));
            s->result = ouro_timed_result(future_of(s), &s->deadline);
            must(s->result == ouro_result(future_of(s)) ||
                 (s->result == -ETIMEDOUT && ouro_result(future_of(s)) == -ECANCELED));
            account(s, ouro_result(future_of(s)));
        } else if (one_in(&s->actor, 2)) {
            (void)ouro_sleep_start(&s->timer, below(&s->actor, 1000) * US);
            OURO_AWAIT(task, &s->timer.future);
            must(ouro_result(&s->timer.future) == 0 || ouro_cancelled());
        } else {
            OURO_YIELD(task);
        }
        (void)fetch_add_relaxed(&program.steps, 1);
    }
    actor_leave(&s->actor);
    OURO_END(task, 0);
}

void *stackless_spawn(struct actor *a, struct ouro_scope *scope, unsigned steps)
{
    struct stackless *s = calloc(1, sizeof *s);
    int error;

    must(s != NULL);
    s->random = random_next(&a->random);
    s->steps = steps;
    s->depth = a->depth + 1;
    error = ouro_task_start(scope, &s->task, stackless_resume, "stackless");
    must(error == 0 || error == -ECANCELED);
    if (error == 0)
        return s;
    free(s);
    return NULL;
}
