/* SPDX-License-Identifier: MIT */
/* Copies a file, four reads and writes at a time, and makes it durable.
 *
 *     example-file_copy FROM TO
 */
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>

#define LANES       4
#define CHUNK_BYTES ((size_t)256 * 1024)

struct copy {
    ouro_file from, to;
    uint64_t next; /* offset of the next chunk that nobody has taken */
};

/* Takes chunk after chunk; several of these run at once. */
static int copy_lane(void *arg)
{
    struct copy *copy = arg;
    char *buf = malloc(CHUNK_BYTES);
    ssize_t n = buf == NULL ? -ENOMEM : 1;

    while (n > 0) {
        uint64_t at = copy->next;

        copy->next += CHUNK_BYTES;
        n = ouro_read_full(copy->from, buf, CHUNK_BYTES, at);
        if (n > 0)
            n = ouro_write_full(copy->to, buf, (size_t)n, at);
    }
    free(buf);
    return (int)n;
}

static int copy_all(struct copy *copy)
{
    struct ouro_scope scope;
    int error = ouro_scope_enter(&scope, OURO_SCOPE_FAIL_FAST), left;

    if (error != 0)
        return error;
    for (int i = 0; error == 0 && i < LANES; i++)
        error = ouro_spawn(&scope, copy_lane, copy, 0);
    if (error != 0)
        ouro_scope_cancel(&scope);
    left = ouro_scope_leave(&scope);
    if (error == 0)
        error = left;
    return error == 0 ? ouro_fdatasync(copy->to) : error;
}

struct job {
    const char *from, *to;
    struct ouro_error why;
};

static int run(void *arg)
{
    struct job *job = arg;
    struct copy copy = {0};
    int error = ouro_open(&copy.from, job->from, O_RDONLY, 0), closed;

    if (error != 0)
        return ouro_error_set(&job->why, error, "read", job->from);
    error = ouro_open(&copy.to, job->to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (error == 0) {
        error = copy_all(&copy);
        closed = ouro_file_close(copy.to);
        if (error == 0)
            error = closed;
    }
    ouro_file_close(copy.from);
    return error == 0 ? 0 : ouro_error_set(&job->why, error, "copy to", job->to);
}

int main(int argc, char **argv)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1};
    struct job job;
    int value = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: example-file_copy FROM TO\n");
        return 2;
    }
    job.from = argv[1];
    job.to = argv[2];
    if (ouro_run(&options, run, &job, &value) != 0)
        fprintf(stderr, "example-file_copy: %s\n", ouro_start_error());
    else if (value != 0)
        fprintf(stderr, "example-file_copy: %s\n", job.why.text);
    return value != 0;
}
