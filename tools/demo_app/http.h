/* SPDX-License-Identifier: MIT */
/* As much HTTP/1.1 as a demonstration needs: whole heads of bounded length, and the few fields that
 * the origin and the client of ouro-demo look at. It is no parser for a service: no chunked bodies,
 * no folded fields, no trailers; a head ends with an empty line, and lines end with CR LF. What it
 * does not understand is an error, never a guess. */
#ifndef OURO_TOOLS_DEMO_HTTP_H
#define OURO_TOOLS_DEMO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Browsers send cookies of other programs that were on this address. */
#define HTTP_HEAD_MAX 8192

struct http_head {
    size_t used; /* 0 at the beginning of a message */
    char text[HTTP_HEAD_MAX];
};

struct http_request {
    enum { HTTP_GET, HTTP_HEAD, HTTP_OTHER } method;
    bool keep_alive;
};

struct http_response {
    unsigned status;
    uint64_t body_bytes;
    bool keep_alive;
};

/* Takes bytes of a head, and none beyond its end. Returns how many; *whole: the head is complete.
 * -EMSGSIZE: it is longer than HTTP_HEAD_MAX. */
ssize_t http_take(struct http_head *head, const char *data, size_t len, bool *whole);

/* What a complete head says: 0, or -EPROTO. A request that announces a body is -EPROTO. */
int http_read_request(const struct http_head *head, struct http_request *out);
int http_read_response(const struct http_head *head, struct http_response *out);

#endif
