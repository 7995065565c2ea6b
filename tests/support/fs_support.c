/* SPDX-License-Identifier: MIT */
#include "support/fs_support.h"
#include "support/net_kernel.h"

#include <dirent.h>

#include "shard/shard.h"

static const uint8_t *hidden;
static size_t hidden_n;
static bool table;

/* The answers of a kernel that lacks some operations, or a table of direct descriptors. */
static int control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    struct io_uring_probe *p = (struct io_uring_probe *)(uintptr_t)arg;
    int result;

    if (opcode == IORING_REGISTER_FILES2 && !table)
        return -EINVAL;
    result = kernel_linux.control(ring_fd, opcode, arg, n);
    if (opcode == IORING_REGISTER_PROBE && result >= 0)
        for (unsigned i = 0; i < p->ops_len; i++)
            for (size_t k = 0; k < hidden_n; k++)
                if (p->ops[i].op == hidden[k])
                    p->ops[i].flags = 0;
    return result;
}

int run_without(const uint8_t *operations, size_t n, bool direct, ouro_task_fn *fn, void *arg)
{
    struct kernel kernel = kernel_linux;
    int value;

    hidden = operations;
    hidden_n = n;
    table = direct;
    kernel.control = control;
    kernel_default = &kernel;
    value = run_on(1, fn, arg);
    kernel_default = &kernel_linux;
    return value;
}

int run_with_table(bool direct, ouro_task_fn *fn)
{
    return run_without(NULL, 0, direct, fn, NULL);
}

static char directory[128];

void dir_make(void)
{
    static unsigned n;
    char name[32];

    snprintf(name, sizeof name, "dir%u", n++);
    snprintf(directory, sizeof directory, "%s", temp_path(name));
    must_be(mkdir(directory, 0700), 0);
}

const char *dir_path(void)
{
    return directory;
}

const char *in_dir(const char *name)
{
    static char text[16][400];
    static unsigned n;
    unsigned i = n++ % 16;

    snprintf(text[i], sizeof text[i], "%s/%.260s", directory, name);
    return text[i];
}

unsigned dir_names(void)
{
    DIR *dir = opendir(directory);
    const struct dirent *e;
    unsigned n = 0;

    must(dir != NULL);
    while ((e = readdir(dir)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

ouro_file dir_open(void)
{
    ouro_file dir;

    must_be(ouro_open(&dir, directory, O_RDONLY | O_DIRECTORY, 0), 0);
    return dir;
}

void plain_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0);
    must_be(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

bool plain_file_is(const char *path, const char *text)
{
    char in[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, in, sizeof in);

    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text) && memcmp(in, text, strlen(text)) == 0;
}

struct stat plain_stat(const char *path)
{
    struct stat st;

    must_be(lstat(path, &st), 0);
    return st;
}

unsigned files_open(void)
{
    return shard_self->slots.open[SLOT_FILE];
}
