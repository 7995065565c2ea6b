/* SPDX-License-Identifier: MIT */
/* Where io_uring is forbidden, a start says exactly that and what to change, and fails without a
 * crash. */
#include "support/support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int never_main(void *arg)
{
    (void)arg;
    return 0;
}

/* As container run-times do it: one system call gives an error. */
static void forbid(unsigned nr, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

    must_be(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    must_be(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int start_and_tell(unsigned shards)
{
    struct ouro_options o = small_options(shards);
    unsigned descriptors = open_descriptors(), threads = threads_alive();
    int error = ouro_run(&o, never_main, NULL, NULL);

    must_be(open_descriptors(), descriptors);
    must(threads_settled(threads) <= threads);
    fprintf(stderr, "%s", ouro_start_error());
    return -error;
}

static int without_setup(void *arg)
{
    forbid(SYS_io_uring_setup, *(unsigned *)arg);
    return start_and_tell(2);
}

static void expect_words(const char *said, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(said, *words) == NULL)
            fail_msg("'%s' does not say '%s'", said, *words);
    assert_null(strchr(said, '\n')); /* one sentence */
}

static void refused_setup(void **state)
{
    static const unsigned errors[] = {EPERM, ENOSYS, EACCES};
    static const char *const words[][5] = {
        {"shard 0", "io_uring", "seccomp", "EPERM", NULL},
        {"shard 0", "io_uring", "seccomp", NULL},
        {"shard 0", "io_uring", NULL},
    };
    struct child c;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        unsigned error = errors[i];

        in_child(&c, without_setup, &error);
        assert_int_equal(child_exit(&c), error);
        expect_words(c.said, words[i]);
        child_free(&c);
    }
}

/* The ring can be made and not used: found out at the start, not at the first operation. */
static int without_register(void *arg)
{
    (void)arg;
    forbid(SYS_io_uring_register, EPERM);
    return start_and_tell(1);
}

static void refused_register(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, without_register, NULL);
    assert_true(child_exit(&c) != 0);
    assert_non_null(strstr(c.said, "shard 0: "));
    assert_true(strlen(c.said) > 20);
    child_free(&c);
}

static int without_locked_memory(void *arg)
{
    struct rlimit none = {0, 0};

    (void)arg;
    must_be(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    must_be(setresgid(65534, 65534, 65534), 0);
    must_be(setresuid(65534, 65534, 65534), 0);
    return start_and_tell(1);
}

/* Newer kernels charge rings to the control group instead: then it starts. */
static void locked_memory(void **state)
{
    struct child c;
    int error;

    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(&c, without_locked_memory, NULL);
    error = child_exit(&c);
    if (error != 0)
        expect_words(c.said, (const char *const[]){"shard 0", "memlock", NULL});
    print_message("without locked memory: %s\n", error != 0 ? c.said : "it starts");
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_setup),
        cmocka_unit_test(refused_register),
        cmocka_unit_test(locked_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
