/* SPDX-License-Identifier: MIT */
#include "origin.h"
#include "http.h"

#include <stdio.h>
#include <string.h>

/* --- what is answered ------------------------------------------------------------------------ */

static char body[ORIGIN_BODY_BYTES + 1];

static struct answer {
    char text[ORIGIN_BODY_BYTES + 256];
    size_t head_bytes, bytes;
} answers[2]; /* [keep_alive] */

static const char welcome[] =
    "Hello from Ouro.\n"
    "\n"
    "    curl  -->  ouro-proxy  -->  this origin\n"
    "                one shard per CPU, one io_uring per shard\n"
    "\n"
    "You asked ouro-proxy for this page. It is a TCP proxy: each CPU has a shard\n"
    "of its own, a pinned thread with its own io_uring, and shards share nothing.\n"
    "The proxy connected to this little HTTP origin, which is written on the same\n"
    "runtime, and carried the answer back. In both programs a connection is a\n"
    "fiber that reads like plain C:\n"
    "\n"
    "    while ((n = ouro_recv(conn, buf, sizeof buf)) > 0)\n"
    "        if ((n = ouro_send_all(conn, buf, (size_t)n)) < 0)\n"
    "            break;\n"
    "    ouro_close(conn);\n"
    "\n"
    "Every answer has exactly 1024 bytes, so here is what was left of them:\n"
    "\n";

_Static_assert(sizeof welcome - 1 < ORIGIN_BODY_BYTES, "the text must fit into the answer");

/* The rest is a pattern, in lines as wide as the text. */
static void fill_body(void)
{
    size_t n = sizeof welcome - 1;

    memcpy(body, welcome, n);
    for (size_t column = 0; n < ORIGIN_BODY_BYTES - 1; n++, column++)
        body[n] = (char)(column % 77 == 76 ? '\n' : "~~~~~o"[column % 77 % 6]);
    body[n] = '\n';
}

void origin_init(void)
{
    fill_body();
    for (int keep = 0; keep < 2; keep++) {
        struct answer *a = &answers[keep];

        a->head_bytes = (size_t)snprintf(a->text, sizeof a->text,
                                         "HTTP/1.1 200 OK\r\n"
                                         "Server: ouro-demo\r\n"
                                         "Content-Type: text/plain; charset=utf-8\r\n"
                                         "Content-Length: %d\r\n"
                                         "%s\r\n",
                                         ORIGIN_BODY_BYTES, keep ? "" : "Connection: close\r\n");
        memcpy(a->text + a->head_bytes, body, ORIGIN_BODY_BYTES);
        a->bytes = a->head_bytes + ORIGIN_BODY_BYTES;
    }
}

const char *origin_body(void)
{
    return body;
}

/* --- one connection -------------------------------------------------------------------------- */

/* An answer after which the connection is closed. */
static int refuse(ouro_conn conn, const char *status, const char *fields)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                     "%sContent-Length: %zu\r\n\r\n%s\n",
                     status, fields, strlen(status) + 1, status);
    ssize_t sent = ouro_send_all(conn, text, (size_t)n);

    return sent < 0 ? (int)sent : 0;
}

/* > 0: the connection stays. */
static int answer(ouro_conn conn, const struct http_head *head)
{
    const struct answer *a;
    struct http_request request;
    ssize_t sent;

    if (http_read_request(head, &request) != 0)
        return refuse(conn, "400 Bad Request", "");
    if (request.method == HTTP_OTHER)
        return refuse(conn, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
    a = &answers[request.keep_alive];
    sent = ouro_send_all(conn, a->text, request.method == HTTP_HEAD ? a->head_bytes : a->bytes);
    return sent < 0 ? (int)sent : request.keep_alive;
}

/* Answers every request that these bytes complete. > 0: the connection stays. */
static int answer_all(ouro_conn conn, struct http_head *head, const struct ouro_buf *buf)
{
    size_t at = 0;
    int go_on = 1;
    bool whole;

    while (go_on > 0 && at < buf->len) {
        ssize_t n = http_take(head, buf->data + at, buf->len - at, &whole);

        if (n < 0)
            return refuse(conn, "431 Request Header Fields Too Large", "");
        at += (size_t)n;
        if (whole) {
            go_on = answer(conn, head);
            head->used = 0;
        }
    }
    return go_on;
}

static int talk(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    OURO_RECV_SOURCE(source);
    struct http_head head;
    struct ouro_buf buf;
    int n = ouro_recv_source_open(&source, conn, 0), go_on = 1;

    head.used = 0;
    while (n >= 0 && go_on > 0 && (n = ouro_recv_next(&source, &buf)) > 0) {
        go_on = answer_all(conn, &head, &buf);
        ouro_buf_release(&buf);
    }
    ouro_recv_source_close(&source);
    ouro_close(conn);
    return 0;
}

/* --- the listeners --------------------------------------------------------------------------- */

static ouro_listener listeners[OURO_MAX_SHARDS];

int origin_open(void *arg)
{
    struct ouro_addr addr;
    int error = ouro_addr_parse(&addr, "127.0.0.1:0", NULL);

    (void)arg;
    return error != 0 ? error : ouro_listen(&listeners[ouro_current_shard()], &addr, NULL);
}

int origin_addr(struct ouro_addr *out)
{
    return ouro_listener_addr(listeners[0], out);
}

int origin_serve(void *arg)
{
    ouro_listener listener = listeners[ouro_current_shard()];
    struct ouro_scope scope;
    ouro_conn conn;
    int error = ouro_scope_enter(&scope, 0);

    (void)arg;
    while (error == 0 && (error = ouro_accept(listener, &conn)) == 0)
        if (ouro_spawn(&scope, talk, &conn, sizeof conn) != 0)
            ouro_close(conn);
    ouro_listener_close(listener);
    ouro_scope_cancel(&scope);
    ouro_scope_leave(&scope);
    return error == -ECANCELED ? 0 : error;
}
