/* SPDX-License-Identifier: MIT */
/* Calls from shard to shard. A call travels in a cell of the lane; where there is none free it
 * travels as a message that stays in the caller's struct, and so does an answer. */
#include <ouro/call.h>
#include "shard/fiber.h"
#include "shard/op.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct mesh_message) <= sizeof((struct ouro_call *)0)->message,
               "room for a message");
_Static_assert(OURO_CALL_ARG_MAX <= (LANE_WORDS - 1) * 8, "room in a cell");

#define CALLER __builtin_return_address(0)

enum call_flag {
    CALL_TASK = 1,
    CALL_STRANDED = 2, /* the cancellation is under way: the answer alone does not end it */
    CALL_ANSWERED = 4,
};

static struct mesh_message *message_of(struct ouro_call *c)
{
    return (struct mesh_message *)(void *)c->message;
}

static struct mesh_message *cancel_of(struct ouro_call *c)
{
    return (struct mesh_message *)(void *)c->cancel;
}

static struct ouro_call *call_of(struct mesh_message *m)
{
    return container_of((void *)m, struct ouro_call, message);
}

/* --- the answer, on the caller's shard ---------------------------------------------------------
 */

static void finish(struct shard *s, struct ouro_call *c)
{
    if ((c->flags & CALL_STRANDED) != 0)
        c->flags |= CALL_ANSWERED;
    else
        op_complete(s, &c->op, c->result);
}

static void receive_answer(struct shard *s, struct lane_cell *cell)
{
    struct ouro_call *c = cell->message;

    if (c->arg_bytes != 0)
        memcpy(c->arg, cell->word, c->arg_bytes);
    c->result = (int32_t)cell->number;
    finish(s, c);
}

static void receive_answer_message(struct shard *s, struct mesh_message *m)
{
    struct ouro_call *c = call_of(m);

    if (c->arg_bytes != 0 && (c->flags & CALL_TASK) == 0)
        memcpy(c->arg, c->inplace, c->arg_bytes);
    finish(s, c);
}

static void receive_cancelled(struct shard *s, struct mesh_message *m)
{
    struct ouro_call *c = container_of((void *)m, struct ouro_call, cancel);

    c->flags &= (uint8_t)~CALL_STRANDED;
    if ((c->flags & CALL_ANSWERED) != 0)
        op_complete(s, &c->op, c->result);
}

/* --- on the target -----------------------------------------------------------------------------
 */

static void answer_message(struct shard *s, struct ouro_call *c, int result)
{
    c->result = result;
    message_of(c)->receive = receive_answer_message;
    mesh_send(&s->mesh, c->caller, message_of(c));
}

/* A function: runs here and now, on the copy that came, in its cell. */
static void serve(struct shard *s, struct ouro_call *c, unsigned caller, ouro_call_fn *fn,
                  void *arg, const uint64_t *copy)
{
    int result = fn(arg);
    struct lane_cell *cell = mesh_cell(&s->mesh, caller);

    if (cell == NULL) {
        if (copy != NULL && copy != c->inplace)
            memcpy(c->inplace, copy, OURO_CALL_ARG_MAX);
        answer_message(s, c, result);
        return;
    }
    cell->receive = receive_answer;
    cell->message = c;
    cell->number = (uint32_t)result;
    if (copy != NULL)
        memcpy(cell->word, copy, OURO_CALL_ARG_MAX);
    mesh_filled(&s->mesh, caller, cell);
}

static void receive_call(struct shard *s, struct lane_cell *cell)
{
    serve(s, cell->message, cell->number, (ouro_call_fn *)(uintptr_t)cell->word[0], &cell->word[1],
          &cell->word[1]);
}

/* The argument is the caller's pointer. */
static void receive_call_by_pointer(struct shard *s, struct lane_cell *cell)
{
    serve(s, cell->message, cell->number, (ouro_call_fn *)(uintptr_t)cell->word[0],
          (void *)(uintptr_t)cell->word[1], NULL);
}

static int call_fiber(void *arg)
{
    struct ouro_call *c = *(struct ouro_call **)arg;
    uint64_t copy[OURO_CALL_ARG_MAX / 8];
    int value = -ECANCELED;
    bool aborted = ouro_cancelled();

    memcpy(copy, c->inplace, sizeof copy);
    if (!aborted)
        value = c->fn(c->arg_bytes != 0 ? copy : c->arg);
    c->how = aborted                                              ? OURO_END_ABORTED
             : (shard_self->current->flags & TASK_CANCELLED) != 0 ? OURO_END_CANCELLED
                                                                  : OURO_END_RETURNED;
    c->fiber.id = 0;
    answer_message(shard_self, c, value);
    return value;
}

static void receive_task_message(struct shard *s, struct mesh_message *m)
{
    struct ouro_call *c = call_of(m);
    struct ouro_spawn_options o = {.size = sizeof o, .name = c->name, .must_run = true};
    int error = ouro_spawn_with(NULL, call_fiber, &c, sizeof c, &o, &c->fiber);

    if (error == 0)
        return;
    c->how = OURO_END_ABORTED;
    c->fiber.id = 0;
    answer_message(s, c, error);
}

static void receive_call_message(struct shard *s, struct mesh_message *m)
{
    struct ouro_call *c = call_of(m);
    bool copied = c->arg_bytes != 0;

    serve(s, c, c->caller, c->fn, copied ? c->inplace : c->arg, copied ? c->inplace : NULL);
}

/* One that has ended already has sent its answer before this goes home. */
static void receive_cancel(struct shard *s, struct mesh_message *m)
{
    struct ouro_call *c = container_of((void *)m, struct ouro_call, cancel);

    if (c->fiber.id != 0)
        ouro_fiber_cancel(c->fiber);
    m->receive = receive_cancelled;
    mesh_send(&s->mesh, c->caller, m);
}

/* --- starting ----------------------------------------------------------------------------------
 */

static int wrong(const struct shard *s, unsigned target, ouro_call_fn *fn, const void *arg,
                 size_t arg_bytes)
{
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (fn == NULL || target >= s->mesh.mesh->n || arg_bytes > OURO_CALL_ARG_MAX ||
        (arg == NULL && arg_bytes != 0))
        return -EINVAL;
    return task_cancelled(s->current) ? -ECANCELED : 0;
}

/* Fills the cell: the first word is the function, then the argument. */
static void fill(struct lane_cell *cell, ouro_call_fn *fn, const void *arg, size_t arg_bytes)
{
    cell->word[0] = (uintptr_t)fn;
    if (arg_bytes != 0)
        memcpy(&cell->word[1], arg, arg_bytes);
    else
        cell->word[1] = (uintptr_t)arg;
}

static bool prepare(struct shard *s, struct ouro_call *c, unsigned target, ouro_call_fn *fn,
                    void *arg, size_t arg_bytes, unsigned flags, const void *place)
{
    int error = wrong(s, target, fn, arg, arg_bytes);

    if (error != 0) {
        op_refuse(&c->op, error);
        return false;
    }
    op_init(s, &c->op, KIND_REMOTE, place);
    c->how = OURO_END_RETURNED;
    c->flags = (uint8_t)flags;
    c->arg_bytes = (uint8_t)arg_bytes;
    c->caller = (uint16_t)s->number;
    c->target = (uint16_t)target;
    c->arg = arg;
    return true;
}

/* By message: everything is in the struct. */
static void send_whole(struct shard *s, struct ouro_call *c, ouro_call_fn *fn,
                       void (*receive)(struct shard *, struct mesh_message *))
{
    c->fn = fn;
    if (c->arg_bytes != 0)
        memcpy(c->inplace, c->arg, c->arg_bytes);
    message_of(c)->receive = receive;
    mesh_send(&s->mesh, c->target, message_of(c));
}

void ouro_call_start(struct ouro_call *c, unsigned target, ouro_call_fn *fn, void *arg,
                     size_t arg_bytes)
{
    struct shard *s = shard_self;
    struct lane_cell *cell;

    if (!prepare(s, c, target, fn, arg, arg_bytes, 0, CALLER))
        return;
    cell = mesh_cell(&s->mesh, target);
    if (OURO_UNLIKELY(cell == NULL)) {
        send_whole(s, c, fn, receive_call_message);
        return;
    }
    cell->receive = arg_bytes != 0 ? receive_call : receive_call_by_pointer;
    cell->message = c;
    cell->number = s->number;
    fill(cell, fn, arg, arg_bytes);
    mesh_filled(&s->mesh, target, cell);
}

void ouro_call_task_start(struct ouro_call *c, unsigned target, ouro_task_fn *fn, void *arg,
                          size_t arg_bytes, const char *name)
{
    struct shard *s = shard_self;

    c->name = name != NULL ? name : "call";
    c->fiber.id = 0;
    if (prepare(s, c, target, fn, arg, arg_bytes, CALL_TASK, CALLER))
        send_whole(s, c, fn, receive_task_message);
    else
        c->how = OURO_END_ABORTED;
}

void remote_cancel(struct shard *s, struct ouro_call *c)
{
    c->op.future.state = OURO_CANCELLING;
    if ((c->flags & CALL_TASK) == 0)
        return; /* its answer is on its way */
    c->flags |= CALL_STRANDED;
    cancel_of(c)->receive = receive_cancel;
    mesh_send(&s->mesh, c->target, cancel_of(c));
}

/* --- no answer ---------------------------------------------------------------------------------
 */

static void receive_post(struct shard *s, struct lane_cell *cell)
{
    (void)s;
    ((ouro_call_fn *)(uintptr_t)cell->word[0])(&cell->word[1]);
}

static void receive_post_by_pointer(struct shard *s, struct lane_cell *cell)
{
    (void)s;
    ((ouro_call_fn *)(uintptr_t)cell->word[0])((void *)(uintptr_t)cell->word[1]);
}

int ouro_try_post(unsigned target, ouro_call_fn *fn, const void *arg, size_t arg_bytes)
{
    struct shard *s = shard_self;
    int error = wrong(s, target, fn, arg, arg_bytes);
    struct lane_cell *cell;

    if (OURO_UNLIKELY(error != 0))
        return error;
    cell = mesh_cell(&s->mesh, target);
    if (OURO_UNLIKELY(cell == NULL))
        return -EAGAIN;
    cell->receive = arg_bytes != 0 ? receive_post : receive_post_by_pointer;
    fill(cell, fn, arg, arg_bytes);
    mesh_filled(&s->mesh, target, cell);
    return 0;
}

/* Before a full lane the caller waits its turn, as for any call. */
int ouro_post(unsigned target, ouro_call_fn *fn, const void *arg, size_t arg_bytes)
{
    uint64_t copy[OURO_CALL_ARG_MAX / 8];
    int error = ouro_try_post(target, fn, arg, arg_bytes);

    if (OURO_LIKELY(error != -EAGAIN))
        return error;
    if (arg_bytes == 0) {
        error = ouro_call(target, fn, (void *)(uintptr_t)arg, 0);
    } else {
        memcpy(copy, arg, arg_bytes);
        error = ouro_call(target, fn, copy, arg_bytes);
    }
    return error == -ECANCELED ? error : 0;
}

/* --- on all ------------------------------------------------------------------------------------
 */

/* One call for each shard, with its copy of the argument. */
struct all {
    struct ouro_call call;
    uint64_t copy[OURO_CALL_ARG_MAX / 8];
};

static struct all *start_all(struct shard *s, ouro_call_fn *fn, const void *arg, size_t arg_bytes)
{
    unsigned n = s->mesh.mesh->n;
    struct all *a = calloc(n, sizeof *a);

    for (unsigned i = 0; a != NULL && i < n; i++) {
        if (arg_bytes != 0)
            memcpy(a[i].copy, arg, arg_bytes);
        ouro_call_start(&a[i].call, i, fn, arg_bytes != 0 ? a[i].copy : (void *)(uintptr_t)arg,
                        arg_bytes);
    }
    return a;
}

static int on_all(ouro_call_fn *fn, const void *arg, size_t arg_bytes, int *results,
                  void (*reduce)(void *sum, const void *part), void *sum)
{
    struct shard *s = shard_self;
    int error = wrong(s, 0, fn, arg, arg_bytes);
    struct all *a;

    if (error != 0)
        return error;
    a = start_all(s, fn, arg, arg_bytes);
    if (a == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < s->mesh.mesh->n; i++) {
        int result = ouro_await(&a[i].call.op.future);

        if (results != NULL)
            results[i] = result;
        if (result >= 0 && reduce != NULL)
            reduce(sum, arg_bytes != 0 ? a[i].copy : arg);
        if (error == 0 && result < 0)
            error = result;
    }
    free(a);
    return error;
}

int ouro_call_all(ouro_call_fn *fn, const void *arg, size_t arg_bytes, int *results)
{
    return on_all(fn, arg, arg_bytes, results, NULL, NULL);
}

int ouro_map_reduce(ouro_call_fn *map, const void *arg, size_t arg_bytes,
                    void (*reduce)(void *sum, const void *part), void *sum)
{
    return reduce == NULL ? -EINVAL : on_all(map, arg, arg_bytes, NULL, reduce, sum);
}
