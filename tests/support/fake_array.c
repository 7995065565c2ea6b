/* SPDX-License-Identifier: MIT */
/* Files in memory of the fake kernel: by path, until all are forgotten. */
#include "support/fake_inside.h"
#include "support/fake_kernel.h"

#include <fcntl.h>

static struct fake_array *arrays;

static struct fake_array *find(const char *path)
{
    struct fake_array *a = arrays;

    while (a != NULL && strcmp(a->path, path) != 0)
        a = a->next;
    return a;
}

static struct fake_array *create(const char *path)
{
    struct fake_array *a = calloc(1, sizeof *a);

    fake_ensure(a != NULL && strlen(path) < sizeof a->path);
    strcpy(a->path, path);
    a->next = arrays;
    arrays = a;
    return a;
}

struct fake_file *fake_open_array(const char *path, int flags, int *error)
{
    struct fake_array *a = find(path);
    struct fake_file *f;

    *error = a == NULL && (flags & O_CREAT) == 0                               ? -ENOENT
             : a != NULL && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? -EEXIST
                                                                               : 0;
    if (*error != 0)
        return NULL;
    if (a == NULL)
        a = create(path);
    if ((flags & O_TRUNC) != 0)
        a->size = 0;
    f = fake_real(-1, false);
    f->kind = FAKE_ARRAY;
    f->array = a;
    return f;
}

ssize_t fake_read_array(struct fake_file *f, const struct iovec *iov, size_t n, uint64_t at)
{
    const struct fake_array *a = f->array;
    size_t sum = 0;

    for (size_t i = 0; i < n && at + sum < a->size; i++) {
        size_t left = a->size - (size_t)at - sum;
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

        fake_copy(iov[i].iov_base, a->bytes + at + sum, part);
        sum += part;
    }
    return (ssize_t)sum;
}

static void make_room(struct fake_array *a, size_t size)
{
    if (size > a->room) {
        size_t room = size * 2;
        char *bytes = realloc(a->bytes, room);

        fake_ensure(bytes != NULL);
        memset(bytes + a->room, 0, room - a->room);
        a->bytes = bytes;
        a->room = room;
    }
    if (size > a->size)
        a->size = size;
}

ssize_t fake_write_array(struct fake_file *f, const struct iovec *iov, size_t n, uint64_t at)
{
    struct fake_array *a = f->array;
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        make_room(a, (size_t)at + sum + iov[i].iov_len);
        fake_copy(a->bytes + at + sum, iov[i].iov_base, iov[i].iov_len);
        sum += iov[i].iov_len;
    }
    return (ssize_t)sum;
}

void fake_arrays_forget(void)
{
    while (arrays != NULL) {
        struct fake_array *a = arrays;

        arrays = a->next;
        free(a->bytes);
        free(a);
    }
}
