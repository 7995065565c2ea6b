/* SPDX-License-Identifier: MIT */
#include "proxy/backends.h"

#include <stdio.h>

void backends_init(struct backends *b, const struct cli_addrs *addrs, enum balance balance,
                   size_t first)
{
    *b = (struct backends){.balance = balance, .count = addrs->count, .next = first % addrs->count};
    for (size_t i = 0; i < addrs->count; i++)
        b->backend[i].addr = &addrs->addr[i];
}

static bool eligible(const struct backend *b)
{
    return b->failures == 0 || (!b->trying && ouro_now_ns() >= b->retry_ns);
}

/* Mixes all bits of x (a bijection). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

/* Of two that could be taken, whether the second is to be preferred. The first that is found wins a
 * tie; for round-robin everything is one. */
static bool better(const struct backends *b, uint64_t source, size_t was, size_t is)
{
    switch (b->balance) {
    case BALANCE_LEAST_CONNECTIONS:
        return b->backend[is].active < b->backend[was].active;
    case BALANCE_SOURCE_HASH: /* the highest weight: when one is down, only its own clients move */
        return mix(source + is + 1) > mix(source + was + 1);
    default:
        return false;
    }
}

struct backend *backends_choose(struct backends *b, uint64_t source, uint32_t *tried)
{
    size_t best = b->count;

    for (size_t k = 0; k < b->count; k++) {
        size_t i = (b->next + k) % b->count;

        if ((*tried >> i & 1) != 0 || !eligible(&b->backend[i]))
            continue;
        if (best == b->count || better(b, source, best, i))
            best = i;
    }
    if (best == b->count)
        return NULL;
    *tried |= UINT32_C(1) << best;
    b->next = (best + 1) % b->count;
    b->backend[best].trying = b->backend[best].failures != 0;
    b->backend[best].active++;
    return &b->backend[best];
}

static void say(const struct backend *b, const char *what)
{
    char text[OURO_ADDR_STRLEN];

    (void)!ouro_addr_format(b->addr, text, sizeof text);
    fprintf(stderr, "ouro-proxy: shard %d: backend %s is %s\n", ouro_current_shard(), text, what);
}

void backend_connected(struct backend *b)
{
    if (b->failures != 0)
        say(b, "up again");
    b->failures = 0;
    b->trying = false;
    b->connected++;
}

uint64_t backend_backoff_ns(uint32_t failures)
{
    uint64_t wait = BACKOFF_FIRST_NS;

    while (--failures != 0 && wait < BACKOFF_LAST_NS)
        wait *= 2;
    return wait < BACKOFF_LAST_NS ? wait : BACKOFF_LAST_NS;
}

static bool own_fault(int error)
{
    return error == -ECANCELED || error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
           error == -ENOBUFS || error == -EADDRNOTAVAIL;
}

void backend_failed(struct backend *b, int error)
{
    char what[96];

    b->active--;
    b->failed += error != -ECANCELED;
    /* Several clients were on their way when it died: only the first to return counts. */
    if (!own_fault(error) && (b->failures == 0 || b->trying)) {
        b->failures++;
        b->retry_ns = ouro_after_ns(backend_backoff_ns(b->failures));
        if (b->failures == 1) {
            snprintf(what, sizeof what, "down: %s", ouro_strerror(error));
            say(b, what);
        }
    }
    b->trying = false;
}

void backend_left(struct backend *b)
{
    b->active--;
}
