/* SPDX-License-Identifier: MIT */
/*
 * deny CALL ERRNO PROGRAM [ARGUMENT...]: runs the program under a seccomp filter that answers one
 * system call of io_uring with an error, as a container's profile does. CALL is setup, enter,
 * register, or register:OPCODE for one kind of registration. Needs no privilege. Exits with 77
 * where filters cannot be had.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field)               BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define NEXT_IF(value, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (otherwise))
#define ANSWER(what)              BPF_STMT(BPF_RET | BPF_K, (what))

static unsigned call_number(const char *name)
{
    if (strcmp(name, "setup") == 0)
        return SYS_io_uring_setup;
    if (strcmp(name, "enter") == 0)
        return SYS_io_uring_enter;
    if (strncmp(name, "register", 8) == 0)
        return SYS_io_uring_register;
    fprintf(stderr, "deny: '%s' is no call of io_uring\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    const char *opcode;
    unsigned call, error;

    if (argc < 4) {
        fprintf(stderr, "usage: deny setup|enter|register[:OPCODE] ERRNO PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    call = call_number(argv[1]);
    error = (unsigned)strtoul(argv[2], NULL, 10);
    opcode = strchr(argv[1], ':');

    struct sock_filter every[] = {LOAD(nr), NEXT_IF(call, 1), ANSWER(SECCOMP_RET_ERRNO | error),
                                  ANSWER(SECCOMP_RET_ALLOW)};
    struct sock_filter one[] = {
        LOAD(nr),
        NEXT_IF(call, 3),
        LOAD(args[1]), /* the low half: both machines are little-endian */
        NEXT_IF(opcode != NULL ? (unsigned)strtoul(opcode + 1, NULL, 10) : 0, 1),
        ANSWER(SECCOMP_RET_ERRNO | error),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof every / sizeof every[0], .filter = every};

    if (opcode != NULL)
        program = (struct sock_fprog){.len = sizeof one / sizeof one[0], .filter = one};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fprintf(stderr, "deny: no filter here: %s\n", strerror(errno));
        return 77;
    }
    execvp(argv[3], argv + 3);
    fprintf(stderr, "deny: cannot run %s: %s\n", argv[3], strerror(errno));
    return 2;
}
