/* SPDX-License-Identifier: MIT */
/* An echo service in three forms of task, for one set of tests. */
#ifndef SUPPORT_NET_ECHO_H
#define SUPPORT_NET_ECHO_H

#include "support/net_support.h"

enum echo_form {
    ECHO_FIBER,     /* a fiber that receives into its own stack */
    ECHO_MULTISHOT, /* a fiber fed by a source */
    ECHO_STACKLESS, /* a state machine fed by a source */
    ECHO_FORMS
};
extern const char *const echo_form_name[ECHO_FORMS];

/* One service on the calling shard. Errors of connections end those alone, and are counted. */
struct echo {
    enum echo_form form;
    ouro_listener listener;
    struct ouro_addr bound;
    ouro_fiber server;
    unsigned served, failed;
};

void echo_start(struct echo *e, enum echo_form form, enum family f);
void echo_start_at(struct echo *e, enum echo_form form, const struct ouro_addr *addr);

/* Closes the listener, cancels what still runs, and waits for all of it. */
void echo_stop(struct echo *e);

#endif
