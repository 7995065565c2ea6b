/* SPDX-License-Identifier: MIT */
/* From text to address. Everything is built in a local copy: an error leaves no half address. */
#include <ouro/addr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/addr_rules.h"
#include "base/quote.h"

/* A text being read, and where its error goes. */
struct addr_text {
    const char *text;
    size_t len;
    struct ouro_addr_error *err;
};

/* A stretch of the text, and which part of an address it is. */
struct addr_span {
    enum ouro_addr_part part;
    size_t pos;
    size_t len;
};

/* Every error leaves through here: "<noun> '<span>' <wrong> in '<text>'", the middle only if given.
 */
static int fail(const struct addr_text *in, int code, struct addr_span span, const char *noun,
                const char *wrong)
{
    char part[QUOTE_BYTES], whole[QUOTE_BYTES];
    struct ouro_addr_error *err = in->err;

    if (!err)
        return code;
    err->code = code;
    err->part = span.part;
    err->pos = span.pos;
    err->len = span.len;
    quote_text(whole, in->text, in->len);
    if (in->len == 0)
        snprintf(err->message, sizeof(err->message), "%s", noun);
    else if (!wrong)
        snprintf(err->message, sizeof(err->message), "%s in %s", noun, whole);
    else
        snprintf(err->message, sizeof(err->message), "%s %s %s in %s", noun,
                 quote_text(part, in->text + span.pos, span.len), wrong, whole);
    return code;
}

/* Copies a stretch for the C library, which wants NUL-terminated text. False when it does not fit.
 */
static bool copy_span(char *buf, size_t size, const struct addr_text *in, struct addr_span span)
{
    if (span.len >= size)
        return false;
    memcpy(buf, in->text + span.pos, span.len);
    buf[span.len] = '\0';
    return true;
}

/*
 * Reads a stretch of digits only; a number above max gives max + 1, however long it is.
 * False when there is anything else, or nothing.
 */
static bool read_number(const struct addr_text *in, struct addr_span span, uint64_t max,
                        uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < span.len; i++) {
        char c = in->text[span.pos + i];

        if (c < '0' || c > '9')
            return false;
        *value = *value * 10 + (uint64_t)(c - '0');
        if (*value > max)
            *value = max + 1;
    }
    return span.len > 0;
}

/* The port is all that follows its colon. */
static int parse_port(const struct addr_text *in, size_t colon, uint16_t *port)
{
    const struct addr_span span = {OURO_ADDR_PORT, colon + 1, in->len - colon - 1};
    uint64_t value;

    if (span.len == 0)
        return fail(in, -EINVAL, span, "missing port after ':'", NULL);
    if (!read_number(in, span, UINT16_MAX, &value))
        return fail(in, -EINVAL, span, "port", "is not a number");
    if (value > UINT16_MAX)
        return fail(in, -ERANGE, span, "port", "is out of range 0-65535");
    *port = htons((uint16_t)value);
    return 0;
}

static int parse_unix(const struct addr_text *in, size_t start, struct ouro_addr *addr)
{
    bool abstract = in->text[start] == '@';
    const char *what = abstract ? "abstract name" : "unix path";
    struct addr_span span = {OURO_ADDR_PATH, start + abstract, in->len - start - abstract};
    char noun[80];

    if (span.len == 0) {
        snprintf(noun, sizeof(noun), "missing %s", what);
        return fail(in, -EINVAL, span, noun, NULL);
    }
    if (span.len > ADDR_UNIX_NAME_MAX) {
        snprintf(noun, sizeof(noun), "%s of %zu bytes is longer than %d", what, span.len,
                 ADDR_UNIX_NAME_MAX);
        return fail(in, -ENAMETOOLONG, span, noun, NULL);
    }
    addr->un.sun_family = AF_UNIX;
    memcpy(addr->un.sun_path + abstract, in->text + span.pos, span.len);
    /* One more byte either way: the NUL in front of an abstract name or behind a path. */
    addr->len = (socklen_t)(ADDR_UNIX_HEAD + span.len + 1);
    return 0;
}

/*
 * Asks the kernel for an interface's index: 0, or -errno. if_nametoindex() would not do: without a
 * free descriptor it says that there is no such interface. Any socket can be asked; AF_UNIX ones
 * exist where IP is switched off. name is NUL-terminated within IFNAMSIZ bytes.
 */
static int find_interface(const char name[IFNAMSIZ], uint32_t *index)
{
    struct ifreq request = {0};
    int saved = errno;
    int code = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(request.ifr_name, name, IFNAMSIZ);
    if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) < 0)
        code = -errno;
    else
        *index = (uint32_t)request.ifr_ifindex;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return code;
}

static int parse_scope(const struct addr_text *in, struct addr_span span, struct ouro_addr *addr)
{
    char name[IFNAMSIZ] = "";
    uint64_t number;
    int code = -ENODEV;

    if (span.len == 0)
        return fail(in, -EINVAL, span, "missing scope after '%'", NULL);
    if (!addr_is_scoped(&addr->in6.sin6_addr))
        return fail(in, -EINVAL, span, "scope", "belongs only on a link-local address,");
    if (read_number(in, span, UINT32_MAX, &number)) {
        if (number == 0 || number > UINT32_MAX)
            return fail(in, -ERANGE, span, "scope", "is out of range 1-4294967295");
        addr->in6.sin6_scope_id = (uint32_t)number;
        return 0;
    }
    if (copy_span(name, sizeof(name), in, span))
        code = find_interface(name, &addr->in6.sin6_scope_id);
    if (code == -ENODEV)
        return fail(in, code, span, "scope", "is not the name of an interface");
    if (code)
        return fail(in, code, span, "scope", "could not be looked up");
    return 0;
}

/* '[', address, perhaps '%' and scope, ']'. Sets *colon to where the port's colon must be. */
static int parse_in6(const struct addr_text *in, struct ouro_addr *addr, size_t *colon)
{
    const struct addr_span end = {OURO_ADDR_WHOLE, in->len, 0};
    const char *close = memchr(in->text, ']', in->len);
    struct addr_span host = {OURO_ADDR_HOST, 1, 0};
    const char *percent;
    char ip[INET6_ADDRSTRLEN];
    int code;

    if (!close)
        return fail(in, -EINVAL, end, "missing ']'", NULL);
    host.len = (size_t)(close - in->text) - 1;
    *colon = host.len + 2;
    percent = memchr(in->text + 1, '%', host.len);
    if (percent)
        host.len = (size_t)(percent - in->text) - 1;
    if (!copy_span(ip, sizeof(ip), in, host) || inet_pton(AF_INET6, ip, &addr->in6.sin6_addr) != 1)
        return fail(in, -EINVAL, host, "host", "is not an IPv6 address");
    addr->in6.sin6_family = AF_INET6;
    addr->len = sizeof(addr->in6);
    if (percent) {
        size_t pos = host.len + 2;
        struct addr_span scope = {OURO_ADDR_SCOPE, pos, *colon - 1 - pos};

        code = parse_scope(in, scope, addr);
        if (code)
            return code;
    }
    if (in->text[*colon] != ':')
        return fail(in, -EINVAL, (struct addr_span){OURO_ADDR_PORT, *colon, 0},
                    "missing ':' and port after ']'", NULL);
    return 0;
}

static bool is_host_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* Says what people most likely meant by a host that is no IPv4 address. */
static int fail_host(const struct addr_text *in, struct addr_span host)
{
    bool name = true, letter = false;

    for (size_t i = 0; i < host.len; i++) {
        char c = in->text[host.pos + i];

        name = name && is_host_name_byte(c);
        letter = letter || (c != '.' && (c < '0' || c > '9'));
    }
    if (name && letter)
        return fail(in, -EINVAL, host, "host", "is a name, and names are not resolved,");
    if (name)
        return fail(in, -EINVAL, host, "host", "is not an IPv4 address");
    return fail(in, -EINVAL, host, "host", "is neither '*' nor an IPv4 or bracketed IPv6 address");
}

/* The colon between host and port of a text without brackets; there must be just one. */
static int find_colon(const struct addr_text *in, size_t *colon)
{
    const struct addr_span whole = {OURO_ADDR_WHOLE, 0, in->len};
    const struct addr_span port = {OURO_ADDR_PORT, in->len, 0};
    const char *first = memchr(in->text, ':', in->len);

    if (in->text[0] == '/')
        return fail(in, -EINVAL, whole, "missing 'unix:' before a path", NULL);
    if (!first)
        return fail(in, -EINVAL, port, "missing ':' and port", NULL);
    if (strchr(first + 1, ':'))
        return fail(in, -EINVAL, whole, "more than one ':' (IPv6 is written '[::1]:80')", NULL);
    *colon = (size_t)(first - in->text);
    return 0;
}

/* An IPv4 address, or the wildcard: nothing or '*', which is IPv6's and takes IPv4 too. */
static int parse_in4_or_any(const struct addr_text *in, struct ouro_addr *addr, size_t *colon)
{
    struct addr_span host = {OURO_ADDR_HOST, 0, 0};
    char ip[INET_ADDRSTRLEN];
    int code;

    code = find_colon(in, colon);
    if (code)
        return code;
    host.len = *colon;
    if (host.len == 0 || (host.len == 1 && in->text[0] == '*')) {
        addr->in6.sin6_family = AF_INET6;
        addr->in6.sin6_addr = in6addr_any;
        addr->len = sizeof(addr->in6);
        return 0;
    }
    if (!copy_span(ip, sizeof(ip), in, host) || inet_pton(AF_INET, ip, &addr->in4.sin_addr) != 1)
        return fail_host(in, host);
    addr->in4.sin_family = AF_INET;
    addr->len = sizeof(addr->in4);
    return 0;
}

static int parse_inet(const struct addr_text *in, struct ouro_addr *addr)
{
    uint16_t port = 0;
    size_t colon = 0;
    int code;

    if (in->text[0] == '[')
        code = parse_in6(in, addr, &colon);
    else
        code = parse_in4_or_any(in, addr, &colon);
    if (code)
        return code;
    code = parse_port(in, colon, &port);
    if (code)
        return code;
    if (addr->sa.sa_family == AF_INET6)
        addr->in6.sin6_port = port;
    else
        addr->in4.sin_port = port;
    return 0;
}

int ouro_addr_parse(struct ouro_addr *out, const char *text, struct ouro_addr_error *err)
{
    static const char unix_prefix[] = "unix:";
    const size_t prefix_len = sizeof(unix_prefix) - 1;
    const struct addr_text in = {text ? text : "", text ? strlen(text) : 0, err};
    struct ouro_addr addr;
    int code;

    memset(&addr, 0, sizeof(addr));
    if (!out || in.len == 0)
        return fail(&in, -EINVAL, (struct addr_span){OURO_ADDR_WHOLE, 0, in.len},
                    out ? "the address is empty" : "there is no place for the address", NULL);
    if (strncmp(text, unix_prefix, prefix_len) == 0)
        code = parse_unix(&in, prefix_len, &addr);
    else
        code = parse_inet(&in, &addr);
    if (code == 0)
        *out = addr;
    return code;
}
