/* SPDX-License-Identifier: MIT */
/* A program that is executed inherits no descriptor of the runtime, nor of what was opened through
 * it: with direct descriptors and without. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <fcntl.h>
#include <ouro/datagram.h>
#include <ouro/file.h>
#include <spawn.h>
#include <sys/wait.h>

static char *self;

/* How many descriptors the program finds when it is executed now. */
static int found_by_child(void)
{
    char count[] = "count", *const argv[] = {self, count, NULL};
    int status;
    pid_t pid;

    must_be(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    must_be(waitpid(pid, &status, 0), pid);
    must(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int everything_open_main(void *arg)
{
    const char *path = temp_path("inherited");
    struct ouro_addr addr = any_addr(V4), bound;
    ouro_conn adopted, taken;
    ouro_listener l, unix_listener;
    ouro_file file;
    struct pair p;
    int fd[2];

    pair_open(&p, V4);
    l = listen_on(V4, &bound);
    unix_listener = listen_on(UNIX, &addr);
    must_be(ouro_connect(&taken, &bound, NULL, 20 * SEC), 0);
    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&adopted, fd[0]), 0);
    must_be(ouro_open(&file, path, O_RDWR | O_CREAT, 0600), 0);
    must_be(found_by_child(), *(int *)arg);
    fd[0] = ouro_conn_give_out(taken);
    must(fd[0] >= 0 || fd[0] == -EOPNOTSUPP);
    must_be(found_by_child(), *(int *)arg);
    if (fd[0] >= 0)
        close(fd[0]);
    else
        must_be(ouro_close(taken), 0);
    must_be(ouro_file_close(file), 0);
    must_be(ouro_close(adopted), 0);
    close(fd[1]);
    must_be(ouro_listener_close(unix_listener), 0);
    must_be(ouro_listener_close(l), 0);
    pair_close(&p);
    unlink(path);
    return 0;
}

static void nothing_is_inherited(void **state)
{
    static const struct kernel *const kernels[] = {&kernel_linux, &kernel_without_direct,
                                                   &kernel_without_direct_sockets};
    int before = found_by_child();

    (void)state;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        kernel_default = kernels[i];
        assert_int_equal(run_on(2, everything_open_main, &before), 0);
        kernel_default = &kernel_linux;
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_inherited)};

    if (argc == 2 && strcmp(argv[1], "count") == 0)
        return (int)open_descriptors();
    self = argv[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
