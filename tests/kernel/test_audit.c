/* SPDX-License-Identifier: MIT */
/* The audit of a shard finds what is broken, by the name of its invariant: each is broken once, on
 * purpose. That it holds otherwise, every other test shows, since it runs in all of them. */
#include "support/net_support.h"

#include <signal.h>
#include <sys/wait.h>

#include "shard/audit.h"
#include "shard/op.h"

static ouro_conn conn; /* an open one, with nothing in flight */

static struct shard *s(void)
{
    return shard_self;
}

/* [TASK-1] A task that stands in the run queue and says that it waits. */
static void not_ready(void)
{
    static struct ouro_task t = {.name = "t"};

    task_push(s(), &t);
    t.state = OURO_TASK_WAITING;
}

/* [TASK-1] A queue whose end is lost. */
static void lost_tail(void)
{
    static struct ouro_task *nowhere;

    s()->ready_tail = &nowhere;
}

/* [TASK-2] A task that ended and is still in its scope. */
static void ended(void)
{
    static struct ouro_task t = {.name = "t", .state = OURO_TASK_ENDED};

    task_enter_scope(&s()->root, &t);
}

/* [TASK-4] An operation that is done and still in its task's list. */
static void done_and_linked(void)
{
    static struct ouro_op op;

    op_init(s(), &op, KIND_OP, NULL);
    op.future.state = OURO_DONE;
}

/* [TASK-4] One that was overwritten. */
static void overwritten(void)
{
    static struct ouro_op op;

    op_init(s(), &op, KIND_OP, NULL);
    memset(&op, 0x5a, sizeof op);
}

/* [TASK-5] A scope that lost count. */
static void miscounted(void)
{
    s()->root.live++;
}

/* [SLOT-1] An operation on a slot that is free. */
static void on_free_slot(void)
{
    static struct ouro_op op;

    op_init(s(), &op, KIND_OP, NULL);
    op.slot = handle_slot(conn.id);
    s()->slots.slot[op.slot].kind = SLOT_FREE;
}

/* [SLOT-1] Operations that no slot knows of. */
static void unheld(void)
{
    static struct ouro_op op[4];

    for (int i = 0; i < 4; i++) {
        op_init(s(), &op[i], KIND_OP, NULL);
        op[i].slot = handle_slot(conn.id);
    }
}

/* [SLOT-2] */
static void miscounted_slots(void)
{
    s()->slots.open[SLOT_FILE]++;
}

/* [SLOT-4] */
static void miscounted_direct(void)
{
    s()->slots.direct_open++;
}

/* [POOL-1] A buffer that is nowhere. */
static void lost_buffer(void)
{
    s()->pools[0].in_ring--;
}

/* [POOL-3] More buffers than the ring has room for. */
static void crowded_pool(void)
{
    s()->pools[0].max = 2 * s()->pools[0].entries;
}

/* [MESH-1] */
static void lost_outbox(void)
{
    static struct mesh_message *nowhere;

    s()->mesh.outbox[0].tail = &nowhere;
}

/* [TASK-3] One that is done and still has a waiter. */
static void still_awaited(void)
{
    static struct ouro_send_zc z;
    static struct ouro_task t = {.name = "t", .state = OURO_TASK_WAITING};

    op_init(s(), &z.op, KIND_ZC, NULL);
    z.op.future.state = OURO_DONE;
    z.op.future.waiter = &t;
}

/* [STACK-4] More stacks in use than were ever made. */
static void miscounted_stacks(void)
{
    s()->stacks[0].counters.live = s()->stacks[0].counters.carved + 1;
}

/* [STACK-5] */
static void too_warm(void)
{
    s()->stacks[0].warm_room = s()->stacks[0].warm_max + 1;
}

static const struct breakage {
    void (*breaks)(void);
    const char *rule;
} breakages[] = {
    {not_ready, "[TASK-1]"},         {lost_tail, "[TASK-1]"},     {ended, "[TASK-2]"},
    {done_and_linked, "[TASK-4]"},   {overwritten, "[TASK-4]"},   {miscounted, "[TASK-5]"},
    {on_free_slot, "[SLOT-1]"},      {unheld, "[SLOT-1]"},        {miscounted_slots, "[SLOT-2]"},
    {miscounted_direct, "[SLOT-4]"}, {lost_buffer, "[POOL-1]"},   {crowded_pool, "[POOL-3]"},
    {lost_outbox, "[MESH-1]"},       {still_awaited, "[TASK-3]"}, {miscounted_stacks, "[STACK-4]"},
    {too_warm, "[STACK-5]"},
};

static int breaking_main(void *arg)
{
    const struct breakage *b = arg;
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&conn, fd[0]), 0);
    shard_audit(s()); /* all is well so far */
    b->breaks();
    shard_audit(s());
    _exit(0);
}

static int breaking(void *arg)
{
    struct ouro_options o = small_options(1);

    return ouro_run(&o, breaking_main, arg, NULL);
}

static void each_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; i++) {
        struct breakage b = breakages[i];
        struct child c;

        in_child(&c, breaking, &b);
        print_message("%s: %s", b.rule, c.said);
        assert_true(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT);
        assert_non_null(strstr(c.said, b.rule));
        child_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_found)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
