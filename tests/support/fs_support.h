/* SPDX-License-Identifier: MIT */
/* What the tests of the file system share: a directory of their own, what is in it as plain system
 * calls see it, and runs with direct and with ordinary descriptors. */
#ifndef SUPPORT_FS_SUPPORT_H
#define SUPPORT_FS_SUPPORT_H

#include "support/net_support.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A cmocka test `name` that runs name_main on one shard, once with a table of direct descriptors
 * where the kernel has one, once without. */
#define ON_BOTH_TABLES(name)                                                                       \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for (int direct = 0; direct < 2; direct++)                                                 \
            assert_int_equal(run_with_table(direct != 0, name##_main), 0);                         \
    }
int run_with_table(bool direct, ouro_task_fn *fn);

/* The same as run_on(1, fn, arg), and without the operations of io_uring that are named. */
int run_without(const uint8_t *operations, size_t n, bool direct, ouro_task_fn *fn, void *arg);

/* A new empty directory below temp_path(), and a path in it (one of 16 static texts). */
void dir_make(void);
const char *in_dir(const char *name);
const char *dir_path(void);

/* How many names are in it. */
unsigned dir_names(void);

/* It, open. */
ouro_file dir_open(void);

/* Whole files by plain system calls: writes one; true if its content is `text`. */
void plain_file(const char *path, const char *text);
bool plain_file_is(const char *path, const char *text);
struct stat plain_stat(const char *path);

/* How many files this shard has open. */
unsigned files_open(void);

#endif
