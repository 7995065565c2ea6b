/* SPDX-License-Identifier: MIT */
/* Every operation of the calls on files fails once, or moves less than it was asked to, one after
 * the other: the old file is as it was or the new one whole, no other name, descriptor or memory is
 * left, and who is not told of an error has what was asked for. */
#include "support/fs_support.h"
#include "support/net_faulty.h"

#include <stdlib.h>

#define BYTES 40000
static char old_content[BYTES], new_content[BYTES];

static void plain_write(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must_be(write(fd, content, BYTES), BYTES);
    close(fd);
}

static bool content_is(const char *path, const char *content)
{
    static char in[BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, in, sizeof in);

    if (fd >= 0)
        close(fd);
    return n == BYTES && memcmp(in, content, BYTES) == 0;
}

/* The error that was injected, or none. */
static bool went_well(const struct fault *fault, int result)
{
    if (result < 0) {
        must_be(fault->where, FAULT_OPERATION);
        must_be(result, fault->error);
    }
    return result >= 0;
}

static void read_scene(const struct fault *fault)
{
    char *data;
    size_t len;

    plain_write(in_dir("f"), old_content);
    if (went_well(fault, ouro_file_read_all(OURO_CWD, in_dir("f"), BYTES, (void **)&data, &len))) {
        must_be(len, BYTES);
        must(memcmp(data, old_content, BYTES) == 0);
    } else {
        must(data == NULL);
    }
    free(data);
}

static void write_scene(const struct fault *fault)
{
    int result = ouro_file_write_all(OURO_CWD, in_dir("f"), new_content, BYTES, 0, 0600);

    if (went_well(fault, result))
        must(content_is(in_dir("f"), new_content));
    must_be(dir_names(), 1);
}

static void replace_scene(const struct fault *fault, unsigned flags)
{
    const char *path = in_dir(flags == 0 ? "f" : "g");
    int result;

    plain_write(in_dir("f"), old_content);
    result = ouro_file_replace(OURO_CWD, path, new_content, BYTES, flags, 0600);
    if (went_well(fault, result))
        must(content_is(path, new_content));
    else if (flags == 0)
        must(content_is(path, old_content) || content_is(path, new_content));
    must(content_is(in_dir("f"),
                    flags == 0 && content_is(path, new_content) ? new_content : old_content));
    if (access(in_dir("g"), F_OK) == 0) {
        must(content_is(in_dir("g"), new_content));
        must_be(unlink(in_dir("g")), 0);
    }
    must_be(dir_names(), 1);
}

static void temp_scene(const struct fault *fault)
{
    char name[OURO_TEMP_NAME_BYTES];
    ouro_file dir, f;

    if (!went_well(fault, ouro_open(&dir, dir_path(), O_RDONLY | O_DIRECTORY, 0)))
        return;
    if (went_well(fault, ouro_temp_open(&f, dir)))
        must_be(ouro_file_close(f), 0);
    else
        must_be(f.id, 0);
    must_be(dir_names(), 1);
    if (went_well(fault, ouro_temp_named(&f, dir, name))) {
        must_be(ouro_file_close(f), 0);
        must_be(unlinkat(AT_FDCWD, in_dir(name), 0), 0);
    }
    must_be(dir_names(), 1);
    must_be(ouro_file_close(dir), 0);
}

static void rest_scene(const struct fault *fault)
{
    struct ouro_stat st;
    char text[64];
    ouro_file f;

    must_be(symlink("f", in_dir("l")), 0);
    if (went_well(fault, ouro_readlink(OURO_CWD, in_dir("l"), text, sizeof text)))
        must(strcmp(text, "f") == 0);
    if (went_well(fault, ouro_rename(OURO_CWD, in_dir("l"), OURO_CWD, in_dir("m"), 0)))
        must_be(symlink("f", in_dir("l")), 0);
    (void)unlink(in_dir("m"));
    if (went_well(fault, ouro_open(&f, in_dir("f"), O_RDWR, 0))) {
        if (went_well(fault, ouro_file_stat(f, &st)))
            must_be(st.size, plain_stat(in_dir("f")).st_size);
        if (went_well(fault, ouro_ftruncate(f, 7)))
            must_be(plain_stat(in_dir("f")).st_size, 7);
        must_be(ouro_file_close(f), 0);
    }
    must_be(unlink(in_dir("l")), 0);
}

static int scenes_main(void *arg)
{
    const struct fault *fault = arg;
    char text[256];

    dir_make();
    read_scene(fault);
    write_scene(fault);
    replace_scene(fault, 0);
    replace_scene(fault, OURO_WRITE_NEW);
    temp_scene(fault);
    rest_scene(fault);
    must_be(dir_names(), 1);
    leftovers(text, sizeof text);
    if (text[0] != '\0')
        must_fail(__FILE__, __LINE__, text);
    return 0;
}

static unsigned once(struct fault fault)
{
    struct ouro_options o = small_options(1);
    unsigned descriptors = open_descriptors(), n;
    int value = -1, error;

    o.quiet = true;
    o.descriptors = 64;
    faulty_begin(&fault);
    error = ouro_run(&o, scenes_main, &fault, &value);
    n = faulty_end();
    must_be(error, 0);
    must_be(value, 0);
    must_be(open_descriptors(), descriptors);
    return n;
}

/* At the 1st, 2nd, … chance, until there is none any more. */
static void at_each_chance(enum fault_where where, int error)
{
    unsigned k = 1;

    while (once((struct fault){.where = where, .error = error, .at = k}) != 0)
        must(++k < 1000);
    printf("%u faults\n", k - 1);
    must(k - 1 > (where == FAULT_OPERATION ? 25u : 5u));
}

#define FAILS_WITH(name, error)                                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        at_each_chance(FAULT_OPERATION, error);                                                    \
    }

FAILS_WITH(no_space, -ENOSPC)
FAILS_WITH(bad_disk, -EIO)
FAILS_WITH(interrupted, -EINTR)
FAILS_WITH(cancelled, -ECANCELED)
FAILS_WITH(not_supported, -EOPNOTSUPP) /* of O_TMPFILE: another way is taken */
FAILS_WITH(name_taken, -EEXIST)        /* another name is taken */

static void once_short(void **state)
{
    (void)state;
    at_each_chance(FAULT_SHORT, 0);
}

static void always_short(void **state)
{
    (void)state;
    must(once((struct fault){.where = FAULT_SHORT}) > 50);
    must(once((struct fault){.where = FAULT_SHORT_ALL}) > 1000);
}

/* --- the other way ---------------------------------------------------------------------------- */

/* A file system without O_TMPFILE, and cut short at every step: the name is taken away again. */
static int another_way_main(void *arg)
{
    const unsigned *after = arg;
    struct ouro_temp t;
    int n;

    dir_make();
    must_be(chdir(dir_path()), 0);
    ouro_temp_start(&t, OURO_CWD);
    turns(*after);
    if (*after < 20)
        ouro_cancel(&t.op.future);
    n = ouro_await(&t.op.future);
    must(n == 0 || n == -ECANCELED || n == -EOPNOTSUPP);
    must((n == 0) == (t.file.id != 0));
    must_be(dir_names(), 0);
    if (n == 0) {
        must_be(plain_stat(dir_path()).st_nlink, 2);
        must_be(ouro_file_close(t.file), 0);
    }
    must_be(files_open(), 0);
    must_be(chdir("/"), 0);
    return n == 0;
}

static void another_way(void **state)
{
    struct ouro_options o = small_options(1);
    unsigned made = 0, cut = 0;

    (void)state;
    o.quiet = true;
    for (unsigned k = 1; k < 5; k++)
        for (unsigned after = 0; after <= 20; after++) {
            struct fault fault = {.where = FAULT_OPERATION, .error = -EOPNOTSUPP, .at = k};
            int value = -1;

            faulty_begin(&fault);
            must_be(ouro_run(&o, another_way_main, &after, &value), 0);
            faulty_end();
            made += value == 1;
            cut += value == 0;
        }
    must(made > 0 && cut > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_space),      cmocka_unit_test(bad_disk),
        cmocka_unit_test(interrupted),   cmocka_unit_test(cancelled),
        cmocka_unit_test(not_supported), cmocka_unit_test(name_taken),
        cmocka_unit_test(once_short),    cmocka_unit_test(always_short),
        cmocka_unit_test(another_way),
    };

    memset(old_content, 'o', BYTES);
    memset(new_content, 'n', BYTES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
