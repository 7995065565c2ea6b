/* SPDX-License-Identifier: MIT */
/* What io_uring offers here, and the verdict: the highest level of which nothing is missing. */
#include "base/check.h"
#include "ring/caps.h"
#include "ring/trial.h"

#include <errno.h>
#include <ouro/probe.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13, newer than the C library's headers */
#endif

#define FINDING_WHY_BYTES 160

struct inquiry {
    struct ouro_probe *out;
    void (*each)(void *ctx, const struct ouro_finding *finding);
    void *ctx;
    enum ouro_verdict
        missing;     /* the lowest verdict that lacks something; OURO_BEST + 1: none does */
    char floor[256]; /* what the floor lacks, a list */
};

/* --- findings -------------------------------------------------------------------------------- */

static void lacks(struct inquiry *q, const struct ouro_finding *f)
{
    size_t used = strlen(q->floor);

    if (f->needed_for == OURO_UNUSABLE)
        return;
    if (f->needed_for < q->missing)
        q->missing = f->needed_for;
    if (f->needed_for == OURO_FLOOR)
        snprintf(q->floor + used, sizeof q->floor - used, "%s%s", used == 0 ? "" : ", ", f->name);
}

static void report(struct inquiry *q, struct ouro_finding f)
{
    if (f.why == NULL)
        f.why = "";
    if (!f.granted)
        lacks(q, &f);
    if (q->each != NULL)
        q->each(q->ctx, &f);
}

/* What an error of set-up or registration means. */
static const char *in_words(int error, char *why)
{
    switch (error) {
    case 0:
        return "";
    case -EINVAL:
        return "unknown to this kernel (EINVAL)";
    case -EPERM:
        return "needs a privilege that this process has not (EPERM)";
    case -ENOMEM:
        return "no memory that may be locked; raise the memlock limit (ENOMEM)";
    default:
        snprintf(why, FINDING_WHY_BYTES, "refused: %s", strerror(-error));
        return why;
    }
}

static void report_service(struct inquiry *q, const char *name, enum ouro_verdict needed_for,
                           int error)
{
    char why[FINDING_WHY_BYTES];

    report(q, (struct ouro_finding){.kind = OURO_FINDING_SERVICE,
                                    .needed_for = needed_for,
                                    .asked = true,
                                    .granted = error == 0,
                                    .name = name,
                                    .why = in_words(error, why)});
}

/* --- set-up flags ---------------------------------------------------------------------------- */

#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static const struct flag {
    const char *name;
    unsigned flag, with; /* `with`: the flags it does not go without */
    bool asked;
    enum ouro_verdict needed_for;
} flags[] = {
    {"CQSIZE", IORING_SETUP_CQSIZE, 0, true, OURO_FLOOR},
    {"CLAMP", IORING_SETUP_CLAMP, 0, true, OURO_FLOOR},
    {"SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL, 0, true, OURO_FLOOR},
    {"SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER, 0, true, OURO_FLOOR},
    {"DEFER_TASKRUN", IORING_SETUP_DEFER_TASKRUN, DEFER, true, OURO_FLOOR},
    {"TASKRUN_FLAG", IORING_SETUP_TASKRUN_FLAG, DEFER, true, OURO_FLOOR},
    {"COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN, 0, true, OURO_FLOOR},
    {"NO_SQARRAY", IORING_SETUP_NO_SQARRAY, 0, true, OURO_UNUSABLE},
    {"R_DISABLED", IORING_SETUP_R_DISABLED, 0, false, OURO_UNUSABLE},
    {"SQPOLL", IORING_SETUP_SQPOLL, 0, false, OURO_UNUSABLE},
    {"IOPOLL", IORING_SETUP_IOPOLL, 0, false, OURO_UNUSABLE},
    {"CQE32", IORING_SETUP_CQE32, 0, false, OURO_UNUSABLE},
    {"CQE_MIXED", IORING_SETUP_CQE_MIXED, 0, false, OURO_BEST},
};

static void ask_flags(struct inquiry *q)
{
    for (size_t i = 0; i < array_size(flags); i++) {
        const struct flag *f = &flags[i];
        char why[FINDING_WHY_BYTES];
        int error = trial_setup(f->flag | f->with);

        report(q, (struct ouro_finding){.kind = OURO_FINDING_FLAG,
                                        .needed_for = f->needed_for,
                                        .asked = f->asked,
                                        .granted = error == 0,
                                        .name = f->name,
                                        .why = in_words(error, why)});
    }
}

/* --- features -------------------------------------------------------------------------------- */

#ifndef IORING_FEAT_RW_ATTR
#define IORING_FEAT_RW_ATTR (1U << 16) /* newer than liburing 2.9 */
#endif

static const struct feature {
    const char *name;
    unsigned bit;
    enum ouro_verdict needed_for;
} features[] = {
    {"SINGLE_MMAP", IORING_FEAT_SINGLE_MMAP, OURO_FLOOR},
    {"NODROP", IORING_FEAT_NODROP, OURO_FLOOR},
    {"SUBMIT_STABLE", IORING_FEAT_SUBMIT_STABLE, OURO_FLOOR},
    {"RW_CUR_POS", IORING_FEAT_RW_CUR_POS, OURO_UNUSABLE},
    {"CUR_PERSONALITY", IORING_FEAT_CUR_PERSONALITY, OURO_UNUSABLE},
    {"FAST_POLL", IORING_FEAT_FAST_POLL, OURO_FLOOR},
    {"POLL_32BITS", IORING_FEAT_POLL_32BITS, OURO_UNUSABLE},
    {"SQPOLL_NONFIXED", IORING_FEAT_SQPOLL_NONFIXED, OURO_UNUSABLE},
    {"EXT_ARG", IORING_FEAT_EXT_ARG, OURO_FLOOR},
    {"NATIVE_WORKERS", IORING_FEAT_NATIVE_WORKERS, OURO_UNUSABLE},
    {"RSRC_TAGS", IORING_FEAT_RSRC_TAGS, OURO_UNUSABLE},
    {"CQE_SKIP", IORING_FEAT_CQE_SKIP, OURO_UNUSABLE},
    {"LINKED_FILE", IORING_FEAT_LINKED_FILE, OURO_UNUSABLE},
    {"REG_REG_RING", IORING_FEAT_REG_REG_RING, OURO_UNUSABLE},
    {"RECVSEND_BUNDLE", IORING_FEAT_RECVSEND_BUNDLE, OURO_GOOD},
    {"MIN_TIMEOUT", IORING_FEAT_MIN_TIMEOUT, OURO_GOOD},
    {"RW_ATTR", IORING_FEAT_RW_ATTR, OURO_UNUSABLE},
    {"NO_IOWAIT", IORING_FEAT_NO_IOWAIT, OURO_BEST},
};

static void ask_features(struct inquiry *q, const struct ring *r)
{
    for (size_t i = 0; i < array_size(features); i++) {
        bool granted = (r->caps.features & features[i].bit) != 0;

        report(q, (struct ouro_finding){.kind = OURO_FINDING_FEATURE,
                                        .needed_for = features[i].needed_for,
                                        .asked = true,
                                        .granted = granted,
                                        .name = features[i].name,
                                        .why = granted ? "" : "unknown to this kernel"});
    }
}

/* --- opcodes --------------------------------------------------------------------------------- */

static enum ouro_verdict opcode_needed_for(const char *name)
{
    static const char *const best[] = {"READV_FIXED", "WRITEV_FIXED", "RECV_ZC"};

    if (strcmp(name, "SEND_ZC") == 0)
        return OURO_FLOOR;
    for (size_t i = 0; i < array_size(best); i++)
        if (strcmp(name, best[i]) == 0)
            return OURO_BEST;
    return OURO_UNUSABLE;
}

static void ask_opcodes(struct inquiry *q, const struct ring *r)
{
    for (unsigned op = 0; op < trial_op_names(); op++) {
        const char *name = trial_op_name(op), *why = "";
        bool granted = ring_has_op(r, op);

        if (!granted)
            why = op > r->caps.last_op ? "unknown to this kernel" : "not built into this kernel";
        report(q, (struct ouro_finding){.kind = OURO_FINDING_OPCODE,
                                        .needed_for = opcode_needed_for(name),
                                        .asked = true,
                                        .granted = granted,
                                        .name = name,
                                        .why = why});
    }
}

/* --- services -------------------------------------------------------------------------------- */

static void ask_direct(struct inquiry *q, struct ring *r)
{
    struct ouro_finding sockets = {.kind = OURO_FINDING_SERVICE,
                                   .asked = true,
                                   .granted = r->caps.direct_sockets,
                                   .name = "direct sockets"};

    report_service(q, "direct descriptors", OURO_UNUSABLE,
                   r->caps.direct ? 0 : trial_direct_table(r));
    if (!r->caps.direct)
        sockets.why = "there are no direct descriptors";
    else if (!ring_has_op(r, IORING_OP_SOCKET))
        sockets.why = "the kernel cannot make a socket through the ring (SOCKET)";
    else if (!ring_has_op(r, IORING_OP_URING_CMD))
        sockets.why = "the kernel cannot set options of one (URING_CMD)";
    else if (!ring_has_op(r, IORING_OP_FIXED_FD_INSTALL))
        sockets.why = "the kernel cannot make one an ordinary descriptor (FIXED_FD_INSTALL)";
    else if (!r->caps.direct_sockets)
        sockets.why = "the kernel refused to set an option of one";
    report(q, sockets);
}

static int try_guard(void)
{
    const size_t bytes = 65536; /* a page of any size */
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int error;

    if (p == MAP_FAILED)
        return -errno;
    error = madvise(p, bytes, MADV_GUARD_INSTALL) == 0 ? 0 : -errno;
    munmap(p, bytes);
    return error;
}

static void ask_services(struct inquiry *q, struct ring *r)
{
    struct ouro_finding fd = {.kind = OURO_FINDING_SERVICE,
                              .asked = true,
                              .granted = r->caps.registered_fd,
                              .name = "registered ring descriptor"};

    if (!fd.granted)
        fd.why = "unknown to this kernel, or the thread has 16 of them already";
    report_service(q, "multishot accept", OURO_FLOOR, trial_multishot_accept(r));
    report_service(q, "multishot receive", OURO_FLOOR, trial_multishot_receive(r));
    report_service(q, "provided buffer rings", OURO_FLOOR, trial_buffer_ring(r, 0));
    report(q, fd);
    ask_direct(q, r);
    report_service(q, "incremental buffers", OURO_GOOD, trial_buffer_ring(r, IOU_PBUF_RING_INC));
    report_service(q, "cloned buffers", OURO_GOOD, trial_clone_buffers());
    report_service(q, "registered waits", OURO_BEST, trial_registered_wait());
    report_service(q, "ring resize", OURO_BEST, trial_resize());
    report_service(q, "guard regions", OURO_BEST, try_guard());
    report_service(q, "queries", OURO_UNUSABLE, trial_query());
}

/* --- the verdict ----------------------------------------------------------------------------- */

static void judge(struct inquiry *q)
{
    q->out->verdict = (enum ouro_verdict)(q->missing - 1);
    if (q->out->verdict != OURO_UNUSABLE)
        return;
    q->out->error = -EOPNOTSUPP;
    snprintf(q->out->why, sizeof q->out->why,
             "this io_uring lacks %s; Linux 6.1 or later is needed, and nothing that filters "
             "io_uring calls",
             q->floor);
}

static void inquire(struct inquiry *q)
{
    const struct ring_options options = {.sq_entries = 8, .cq_entries = 32, .descriptors = 64};
    unsigned workers[2];
    struct ring r;
    int error = trial_setup(0);

    q->out->error = error;
    if (error != 0) {
        caps_explain(error, q->out->why, sizeof q->out->why);
        return;
    }
    ask_flags(q);
    error = ring_init(&r, &options, q->out->why, sizeof q->out->why);
    q->out->error = error;
    if (error != 0)
        return;
    ask_features(q, &r);
    ask_opcodes(q, &r);
    ask_services(q, &r);
    if (trial_iowq_limits(&r, workers) == 0) {
        q->out->iowq_bounded = workers[0];
        q->out->iowq_unbounded = workers[1];
    }
    ring_destroy(&r);
    judge(q);
}

int ouro_probe(struct ouro_probe *out, void (*each)(void *ctx, const struct ouro_finding *finding),
               void *ctx)
{
    struct inquiry q = {
        .out = out, .each = each, .ctx = ctx, .missing = (enum ouro_verdict)(OURO_BEST + 1)};

    if (out == NULL || out->size != sizeof *out)
        return -EINVAL;
    *out = (struct ouro_probe){.size = sizeof *out};
    snprintf(out->liburing, sizeof out->liburing, "%d.%d", IO_URING_VERSION_MAJOR,
             IO_URING_VERSION_MINOR);
    inquire(&q);
    return 0;
}
