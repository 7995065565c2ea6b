/* SPDX-License-Identifier: MIT */
/* Running a function as main, and looking at what is left of it from the inside. */
#include "support/support.h"

#include <dirent.h>
#include <pthread.h>
#include "shard/audit.h"
#include "shard/task.h"

struct job {
    ouro_task_fn *fn;
    void *arg;
};

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    must(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

unsigned open_descriptors(void)
{
    return entries("/proc/self/fd") - 1; /* the one that reads it */
}

static void *nothing(void *arg)
{
    return arg;
}

/* A sanitizer may start a thread of its own with the first that is made: before any is counted. */
static void first_thread(void)
{
    static bool made;
    pthread_t thread;

    if (made)
        return;
    made = true;
    must_be(pthread_create(&thread, NULL, nothing, NULL), 0);
    must_be(pthread_join(thread, NULL), 0);
}

/* A thread of the process that lives; and no worker of the kernel's, which belongs to the thread
 * that had a ring, not to the ring: the last idle one may stay as long as that thread does. */
static bool is_own(const char *task)
{
    char path[64], name[32] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task);
    f = fopen(path, "re");
    if (f == NULL)
        return false; /* it has just ended */
    if (fgets(name, sizeof name, f) == NULL)
        name[0] = '\0'; /* the same */
    fclose(f);
    return name[0] != '\0' && strncmp(name, "iou-", 4) != 0;
}

unsigned threads_alive(void)
{
    const struct dirent *entry;
    unsigned n = 0;
    DIR *dir;

    first_thread();
    dir = opendir("/proc/self/task");
    must(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.' && is_own(entry->d_name);
    closedir(dir);
    return n;
}

struct ouro_options small_options(unsigned shards)
{
    return (struct ouro_options){.size = sizeof(struct ouro_options),
                                 .shards = shards,
                                 .oversubscribe = true,
                                 .descriptors = 1024,
                                 .sq_entries = 64,
                                 .buffers = 64,
                                 .large_buffers = 16,
                                 .restrict_ring = getenv("OURO_RESTRICT_RING") != NULL};
}

static unsigned open_slots(const struct shard *s)
{
    return s->slots.open[SLOT_CONN] + s->slots.open[SLOT_LISTENER] + s->slots.open[SLOT_FILE];
}

static bool clean(const struct shard *s, unsigned tasks)
{
    return s->root.live <= tasks && open_slots(s) == 0 && wheel_pending(&s->wheel) == 0 &&
           s->idle_task.ops == NULL;
}

/* Tasks of the root scope that belong to the check itself: main on shard 0, and the one that looks.
 */
static unsigned own_tasks(const struct shard *s)
{
    return s->number == 0 ? 2 : 1;
}

void leftovers(char *text, size_t bytes)
{
    const struct shard *s = shard_self;
    uint64_t end = ouro_now_precise_ns() + 5 * SEC;

    while (!clean(s, own_tasks(s)) && ouro_now_precise_ns() < end)
        (void)ouro_yield();
    shard_audit(shard_self);
    text[0] = '\0';
    if (clean(s, own_tasks(s)))
        return;
    snprintf(
        text, bytes,
        "shard %u: %u tasks in the root scope (%u are the check's), %u connections, %u listeners, "
        "%u files, %zu timers, %s outside of any task",
        s->number, s->root.live, own_tasks(s), s->slots.open[SLOT_CONN],
        s->slots.open[SLOT_LISTENER], s->slots.open[SLOT_FILE], wheel_pending(&s->wheel),
        s->idle_task.ops != NULL ? "an operation" : "nothing");
    for (const struct ouro_task *t = s->root.children; t != NULL; t = t->sibling_next)
        fprintf(stderr, "shard %u: there is task '%s'\n", s->number, t->name);
}

static int look(void *arg)
{
    char text[256];

    (void)arg;
    (void)ouro_shield_enter();
    leftovers(text, sizeof text);
    (void)ouro_shield_leave();
    if (text[0] != '\0')
        must_fail(__FILE__, __LINE__, text);
    return 0;
}

static int job_main(void *arg)
{
    const struct job *job = arg;
    int value = job->fn(job->arg);

    must_be(ouro_shield_leave(), -EINVAL); /* no shield was forgotten */
    if (ouro_stopping())
        return value; /* too late to look: nothing new is taken */
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_on_each_shard(look, NULL, "leftovers", NULL), 0);
    must_be(ouro_shield_leave(), 0);
    return value;
}

unsigned threads_settled(unsigned expected)
{
    uint64_t end = ouro_now_precise_ns() + 30 * SEC;

    unsigned n = threads_alive();

    for (; n > expected && ouro_now_precise_ns() < end; n = threads_alive())
        usleep(100);
    return n;
}

int run_with(const struct ouro_options *options, ouro_task_fn *fn, void *arg)
{
    struct job job = {fn, arg};
    unsigned descriptors = open_descriptors(), threads = threads_alive();
    int value = -1, error = ouro_run(options, job_main, &job, &value);

    if (error != 0)
        fprintf(stderr, "cannot start: %s\n", ouro_start_error());
    must_be(error, 0);
    must_be(open_descriptors(), descriptors);
    must(threads_settled(threads) <= threads);
    return value;
}

int run_on(unsigned shards, ouro_task_fn *fn, void *arg)
{
    struct ouro_options o = small_options(shards);

    return run_with(&o, fn, arg);
}
