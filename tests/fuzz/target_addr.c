/* SPDX-License-Identifier: MIT */
/* A text that is an address survives a round trip; one that is none is refused with its place. */
#include "target.h"

#include <ouro/addr.h>

static void accepted(const struct ouro_addr *addr)
{
    char text[OURO_ADDR_STRLEN], cut[16];
    struct ouro_addr again, copy;
    int len = ouro_addr_format(addr, text, sizeof text);

    demand(len > 0 && (size_t)len == strlen(text));
    demand(ouro_addr_parse(&again, text, NULL) == 0);
    demand(ouro_addr_equal(addr, &again) && ouro_addr_hash(addr) == ouro_addr_hash(&again));
    demand(ouro_addr_port(addr) == ouro_addr_port(&again));
    demand(ouro_addr_format(addr, cut, sizeof cut) == len);
    demand(strncmp(cut, text, sizeof cut - 1) == 0 && strlen(cut) < sizeof cut);
    demand(ouro_addr_from_sockaddr(&copy, &addr->sa, addr->len) == 0);
    demand(ouro_addr_equal(addr, &copy));
}

static void refused(const char *text, int code, const struct ouro_addr_error *err)
{
    size_t len = strlen(text);

    demand(code < 0 && err->code == code);
    demand(err->pos <= len && err->len <= len - err->pos);
    demand_message(err->message, sizeof err->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    struct ouro_addr addr, before;
    struct ouro_addr_error err;
    int code;

    memset(&addr, 0xa5, sizeof addr);
    memcpy(&before, &addr, sizeof addr);
    code = ouro_addr_parse(&addr, text, &err);
    demand(ouro_addr_parse(&before, text, NULL) == code);
    if (code == 0) {
        accepted(&addr);
    } else {
        refused(text, code, &err);
        demand(memcmp(&addr, &before, sizeof addr) == 0); /* untouched */
    }
    free(text);
    return 0;
}
