/* SPDX-License-Identifier: MIT */
#include "shard/exceptions.h"
#include "shard/shard.h"

_Unwind_Reason_Code exceptions_end(int version, _Unwind_Action actions, _Unwind_Exception_Class of,
                                   struct _Unwind_Exception *exception,
                                   struct _Unwind_Context *context)
{
    const struct shard *s = shard_self;
    const char *name = s->current->name != NULL ? s->current->name : "task";

    (void)version, (void)of, (void)exception, (void)context;
    if ((actions & _UA_FORCE_UNWIND) == 0) {
        notice("an exception leaves task '%s' on shard %u; a task must catch what it throws", name,
               s->number);
        return _URC_FATAL_PHASE1_ERROR;
    }
    if (s->current == &s->idle_task)
        fatal("the thread of shard %u was cancelled; stop it with ouro_stop()", s->number);
    fatal("task '%s' on shard %u exits or was cancelled as a thread; a task must return", name,
          s->number);
}
