/* SPDX-License-Identifier: MIT */
/* What the kernel or a resolver might hand over: refused, or a value that can be shown, compared,
 * and, where it has a text, read back. */
#include "target.h"

#include <ouro/addr.h>

/* Unnamed ones, and names with NUL bytes or that are too long, have a text for people only. */
static bool has_text(const struct ouro_addr *a)
{
    size_t head = offsetof(struct sockaddr_un, sun_path), n = a->len - head;

    if (a->sa.sa_family != AF_UNIX)
        return true;
    if (a->len <= head || (a->un.sun_path[0] == '\0' && n == 1))
        return false;
    return a->un.sun_path[0] == '\0'
               ? memchr(a->un.sun_path + 1, 0, n - 1) == NULL
               : strnlen(a->un.sun_path, 108) < (a->un.sun_path[0] == '@' ? 106 : 108);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[OURO_ADDR_STRLEN], *raw;
    struct ouro_addr addr, again;
    int code, n;

    if (size < 2)
        return 0;
    raw = text_of(data, size);
    code =
        ouro_addr_from_sockaddr(&addr, (const struct sockaddr *)(const void *)raw, (socklen_t)size);
    if (code == 0) {
        n = ouro_addr_format(&addr, text, sizeof text);
        demand(n > 0 && (size_t)n == strlen(text));
        demand(ouro_addr_equal(&addr, &addr));
        demand(ouro_addr_hash(&addr) == ouro_addr_hash(&addr));
        demand(ouro_addr_from_sockaddr(&again, &addr.sa, addr.len) == 0);
        demand(ouro_addr_equal(&addr, &again));
        if (has_text(&addr)) {
            demand(ouro_addr_parse(&again, text, NULL) == 0);
            demand(addr.sa.sa_family != AF_INET || ouro_addr_equal(&addr, &again));
        }
    }
    free(raw);
    return 0;
}
