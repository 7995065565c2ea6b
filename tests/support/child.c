/* SPDX-License-Identifier: MIT */
#include "support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *slurp(int fd)
{
    off_t bytes = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)bytes + 1);

    must(text != NULL);
    must_be(pread(fd, text, (size_t)bytes, 0), bytes);
    text[bytes] = '\0';
    return text;
}

void in_child(struct child *c, int (*fn)(void *arg), void *arg)
{
    int fd = memfd_create("stderr", MFD_CLOEXEC);
    pid_t pid;

    must(fd >= 0);
    must_be(fcntl(fd, F_SETFL, O_APPEND), 0); /* its threads write at the same time */
    fflush(NULL);
    pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        must(dup2(fd, STDERR_FILENO) == STDERR_FILENO);
        alarm(60);
        exit(fn(arg));
    }
    must_be(waitpid(pid, &c->status, 0), pid);
    c->said = slurp(fd);
    close(fd);
}

void child_free(struct child *c)
{
    free(c->said);
    c->said = NULL;
}

int child_exit(const struct child *c)
{
    if (!WIFEXITED(c->status)) {
        fprintf(stderr, "the child was ended by signal %d; it said:\n%s\n", WTERMSIG(c->status),
                c->said);
        must_fail(__FILE__, __LINE__, "the child exits");
    }
    return WEXITSTATUS(c->status);
}
