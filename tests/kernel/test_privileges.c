/* SPDX-License-Identifier: MIT */
/* Giving up privileges: for good, in every thread, before and during a run; and every way to ask
 * for it wrongly. What has to be root is skipped otherwise. */
#include "support/support.h"

#include <fcntl.h>
#include <ouro/privileges.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define NOBODY 65534

/* "Uid:", "CapEff:" … of the calling thread, as text. */
static void status_of_thread(const char *key, char *out, size_t bytes)
{
    char line[256];
    FILE *f = fopen("/proc/thread-self/status", "re");

    must(f != NULL);
    out[0] = '\0';
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            snprintf(out, bytes, "%s", line + strlen(key));
    fclose(f);
}

/* The calling thread is nobody, for good. */
static int is_nobody(void *arg)
{
    char text[128];
    bool may_gain = *(bool *)arg;

    status_of_thread("Uid:\t", text, sizeof text);
    must_be(strcmp(text, "65534\t65534\t65534\t65534\n"), 0);
    status_of_thread("Gid:\t", text, sizeof text);
    must_be(strcmp(text, "65534\t65534\t65534\t65534\n"), 0);
    status_of_thread("CapEff:\t", text, sizeof text);
    must_be(strtoull(text, NULL, 16), 0);
    status_of_thread("CapPrm:\t", text, sizeof text);
    must_be(strtoull(text, NULL, 16), 0);
    status_of_thread("CapBnd:\t", text, sizeof text);
    must_be(strtoull(text, NULL, 16) == 0, !may_gain);
    must_be(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), !may_gain);
    must(setuid(0) != 0 && setgid(0) != 0);
    return 0;
}

static struct ouro_privileges to(const char *user, const char *group)
{
    return (struct ouro_privileges){
        .size = sizeof(struct ouro_privileges), .user = user, .group = group};
}

static int serve_as_nobody(void *arg)
{
    struct ouro_listen_options lo = {.size = sizeof lo};
    struct ouro_privileges p = to("nobody", "65534");
    struct ouro_error why = {0};
    ouro_listener low;
    struct ouro_addr addr;
    ouro_file file;
    bool may_gain = false;
    int error;

    (void)arg;
    must_be(ouro_addr_parse(&addr, "127.0.0.1:0", NULL), 0);
    must_be(ouro_listen(&low, &addr, &lo), 0);
    must_be(ouro_open(&file, "/etc/shadow", O_RDONLY, 0), 0);
    error = ouro_drop_privileges(&p, &why);
    if (error != 0)
        fprintf(stderr, "%s\n", why.text);
    must_be(error, 0);
    must_be(ouro_on_each_shard(is_nobody, &may_gain, "is nobody", NULL), 0);
    must_be(ouro_file_close(file), 0); /* what is open stays open */
    must_be(ouro_open(&file, "/etc/shadow", O_RDONLY, 0),
            -EACCES); /* the kernel asks on its behalf */
    must_be(ouro_listener_close(low), 0);
    must_be(ouro_drop_privileges(&p, &why), -EPERM); /* there is nothing left */
    return 0;
}

static int during_a_run(void *arg)
{
    struct ouro_options o = small_options(3);

    (void)arg;
    return ouro_run(&o, serve_as_nobody, NULL, NULL);
}

static int nobody_everywhere(void *arg)
{
    return ouro_on_each_shard(is_nobody, arg, "is nobody", NULL);
}

static int before_a_run(void *arg)
{
    struct ouro_options o = small_options(3);
    struct ouro_privileges p = to("65534", "65534");
    int value = -1;

    p.may_gain = *(bool *)arg;
    must_be(ouro_drop_privileges(&p, NULL), 0);
    must_be(ouro_run(&o, nobody_everywhere, arg, &value), 0);
    return value;
}

static int in_another_root(void *arg)
{
    struct ouro_privileges p = to("nobody", NULL);

    p.root = arg;
    must_be(ouro_drop_privileges(&p, NULL), 0);
    must_be(access("/etc", F_OK), -1);
    _exit(0); /* a search for leaks would need /proc */
}

/* The program had asked to keep its capabilities. */
static int keeping_them(void *arg)
{
    must_be(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
    return arg != NULL ? before_a_run(arg) : during_a_run(NULL);
}

static void as_root(int (*fn)(void *arg), void *arg)
{
    struct child c;

    in_child(&c, fn, arg);
    assert_int_equal(child_exit(&c), 0);
    child_free(&c);
}

static void need_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
}

static void running(void **state)
{
    need_root(state);
    as_root(during_a_run, NULL);
}

static void before(void **state)
{
    bool may_gain = false;

    need_root(state);
    as_root(before_a_run, &may_gain);
    may_gain = true;
    as_root(before_a_run, &may_gain);
}

static void kept(void **state)
{
    bool may_gain = true;

    need_root(state);
    as_root(keeping_them, NULL);
    as_root(keeping_them, &may_gain);
}

static void root(void **state)
{
    char here[] = "/tmp/ouro-root-XXXXXX";

    need_root(state);
    assert_non_null(mkdtemp(here));
    as_root(in_another_root, here);
    assert_int_equal(rmdir(here), 0);
}

static void says(const struct ouro_privileges *p, int error, const char *text)
{
    struct ouro_error why = {0};

    must_be(ouro_drop_privileges(p, &why), error);
    if (strcmp(why.text, text) != 0) {
        fprintf(stderr, "'%s' is not '%s'\n", why.text, text);
        must(false);
    }
    must_be(ouro_drop_privileges(p, NULL), error);
}

static int refusals(void *arg)
{
    struct ouro_privileges p = to("no-such-user", NULL);

    (void)arg;
    says(&p, -ENOENT, "find user: no-such-user: No such file or directory");
    p = to("nobody", "no-such-group");
    says(&p, -ENOENT, "find group: no-such-group: No such file or directory");
    p = to("root", NULL);
    says(&p, -EINVAL, "drop privileges to root: root: Invalid argument");
    p = to("0", "nogroup");
    says(&p, -EINVAL, "drop privileges to root: 0: Invalid argument");
    p = to("4123456789", NULL);
    says(&p, -EINVAL, "drop privileges without a group to user: 4123456789: Invalid argument");
    p = to(NULL, NULL);
    says(&p, -EINVAL, "drop privileges: Invalid argument");
    says(NULL, -EINVAL, "drop privileges: Invalid argument");
    p = to("nobody", NULL);
    p.size--;
    says(&p, -EINVAL, "drop privileges: Invalid argument");
    p = to("nobody", NULL);
    p.root = "/no/such/directory";
    if (geteuid() == 0)
        says(&p, -ENOENT, "change root to: /no/such/directory: No such file or directory");
    else
        says(&p, -EPERM, "drop privileges to user: nobody: Operation not permitted");
    return 0;
}

static void refused(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, refusals, NULL);
    assert_int_equal(child_exit(&c), 0);
    child_free(&c);
}

static void *beside(void *arg)
{
    struct ouro_privileges p = to("nobody", NULL);

    (void)arg;
    must_be(ouro_drop_privileges(&p, NULL), -EBUSY);
    return NULL;
}

static int beside_main(void *arg)
{
    pthread_t thread;

    (void)arg;
    must_be(pthread_create(&thread, NULL, beside, NULL), 0);
    must_be(pthread_join(thread, NULL), 0);
    return 0;
}

static void beside_a_runtime(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, beside_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused), cmocka_unit_test(beside_a_runtime), cmocka_unit_test(before),
        cmocka_unit_test(kept),    cmocka_unit_test(running),          cmocka_unit_test(root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
