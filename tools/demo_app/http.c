/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

ssize_t http_take(struct http_head *head, const char *data, size_t len, bool *whole)
{
    size_t old = head->used, room = HTTP_HEAD_MAX - old, n = len < room ? len : room;
    size_t from = old < 3 ? 0 : old - 3; /* the end may have begun before */
    const char *end;

    memcpy(head->text + old, data, n);
    end = memmem(head->text + from, old + n - from, "\r\n\r\n", 4);
    *whole = end != NULL;
    head->used = end != NULL ? (size_t)(end - head->text) + 4 : old + n;
    return end == NULL && head->used == HTTP_HEAD_MAX ? -EMSGSIZE : (ssize_t)(head->used - old);
}

/* --- fields ---------------------------------------------------------------------------------- */

struct text {
    const char *at;
    size_t n;
};

/* The line at *from without its CR LF; steps on. An empty one is the last. */
static struct text next_line(const struct http_head *head, size_t *from)
{
    struct text line = {.at = head->text + *from};
    const char *end = memmem(line.at, head->used - *from, "\r\n", 2);

    line.n = (size_t)(end - line.at); /* a complete head ends with two of them */
    *from += line.n + 2;
    return line;
}

static struct text trim(struct text t)
{
    while (t.n > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.n--;
    }
    while (t.n > 0 && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

static bool same(struct text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.at, word, t.n) == 0;
}

/* The first field of that name; `at` is NULL without one. */
static struct text field(const struct http_head *head, const char *name)
{
    size_t from = 0, n = strlen(name);
    struct text line;

    (void)next_line(head, &from); /* the first line is no field */
    while ((line = next_line(head, &from)).n != 0)
        if (line.n > n && line.at[n] == ':' && strncasecmp(line.at, name, n) == 0)
            return trim((struct text){.at = line.at + n + 1, .n = line.n - n - 1});
    return (struct text){0};
}

/* Decimal digits and nothing else, at most 18 of them. */
static int number(struct text t, uint64_t *out)
{
    *out = 0;
    if (t.n == 0 || t.n > 18)
        return -EPROTO;
    for (size_t i = 0; i < t.n; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return -EPROTO;
        *out = *out * 10 + (uint64_t)(t.at[i] - '0');
    }
    return 0;
}

static bool keeps_alive(const struct http_head *head, bool version_1_0)
{
    struct text connection = field(head, "connection");

    return version_1_0 ? same(connection, "keep-alive") : !same(connection, "close");
}

/* --- the first line -------------------------------------------------------------------------- */

static bool starts(struct text t, const char *word)
{
    size_t n = strlen(word);

    return t.n >= n && memcmp(t.at, word, n) == 0;
}

static bool ends(struct text t, const char *word)
{
    size_t n = strlen(word);

    return t.n >= n && memcmp(t.at + t.n - n, word, n) == 0;
}

int http_read_request(const struct http_head *head, struct http_request *out)
{
    size_t from = 0;
    struct text line = next_line(head, &from), length = field(head, "content-length");
    bool old = ends(line, " HTTP/1.0");
    uint64_t body = 0;

    if (!old && !ends(line, " HTTP/1.1"))
        return -EPROTO;
    if (field(head, "transfer-encoding").at != NULL ||
        (length.at != NULL && (number(length, &body) != 0 || body != 0)))
        return -EPROTO;
    out->method = starts(line, "GET /")    ? HTTP_GET
                  : starts(line, "HEAD /") ? HTTP_HEAD
                                           : HTTP_OTHER;
    out->keep_alive = keeps_alive(head, old);
    return 0;
}

int http_read_response(const struct http_head *head, struct http_response *out)
{
    size_t from = 0;
    struct text line = next_line(head, &from);
    uint64_t status;

    if (!starts(line, "HTTP/1.1 ") || line.n < 12 ||
        number((struct text){.at = line.at + 9, .n = 3}, &status) != 0)
        return -EPROTO;
    out->status = (unsigned)status;
    out->keep_alive = keeps_alive(head, false);
    return number(field(head, "content-length"), &out->body_bytes);
}
