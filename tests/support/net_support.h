/* SPDX-License-Identifier: MIT */
/* What the tests of sockets and files share, on top of support.h: pairs of connections in each
 * family, ordinary sockets as peers that Ouro knows nothing about, patterns that tell a byte's
 * place in a stream, and directories that vanish. */
#ifndef SUPPORT_NET_SUPPORT_H
#define SUPPORT_NET_SUPPORT_H

#include "support/support.h"

enum family { V4, V6, UNIX, FAMILIES };
extern const char *const family_name[FAMILIES];

/* False for IPv6 on a machine without it. */
bool family_there(enum family f);

/* An address to listen on: port 0 of the loopback, or a path of its own that nobody has. */
struct ouro_addr any_addr(enum family f);

struct ouro_addr parsed(const char *text);

/* Runs name_main with a pointer to an enum family, on one shard, for each that there is. */
#define ON_EACH_FAMILY(name)                                                                       \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for (enum family f = 0; f < FAMILIES; f++)                                                 \
            if (family_there(f))                                                                   \
                assert_int_equal(run_on(1, name##_main, &f), 0);                                   \
    }

/* --- connections --------------------------------------------------------------------------------
 */

/* Both ends on this shard: `near` connected, `far` accepted. */
struct pair {
    ouro_conn near, far;
};
void pair_open(struct pair *p, enum family f);
void pair_close(struct pair *p);

/* One end accepted by Ouro, the other an ordinary blocking socket of the test. `small`: as little
 * buffer as the kernel allows in both directions, so that a sender blocks soon. */
struct outside {
    ouro_conn conn;
    int fd;
};
void outside_open(struct outside *o, enum family f);
void outside_open_small(struct outside *o, enum family f);
void outside_close(struct outside *o);

/* A listener of this shard with the defaults, and where it is. */
ouro_listener listen_on(enum family f, struct ouro_addr *bound);

/* Ordinary sockets. >= 0 or -errno; the connect blocks, which on the loopback it does not for long.
 */
int plain_connect(const struct ouro_addr *to);
int plain_listen(enum family f, int backlog, struct ouro_addr *bound);

/* Sends, without blocking, until the socket takes no more: how many bytes it took. */
size_t plain_fill(int fd);

/* All of it, blocking; a failure fails the test. */
void plain_send(int fd, const void *buf, size_t len);
void plain_recv(int fd, void *buf, size_t len);

/* What a blocking recv gives: bytes, 0, or -errno. */
ssize_t plain_read(int fd, void *buf, size_t len);

/* Sends from Ouro's end until it has blocked for a while: how many bytes it took. */
size_t clog_up(ouro_conn conn);

/* --- the rest ------------------------------------------------------------------------------------
 */

/* Byte `at` of a stream; every seed is another stream. */
static inline uint8_t pattern_at(uint64_t seed, uint64_t at)
{
    uint64_t x = (at + seed * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

    return (uint8_t)(x >> 56);
}

void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t at);

/* Fails the test at the first byte that is not the stream's. */
void pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t at);

/* A path in a directory of this process, which is removed with what is in it at exit. At most 16
 * live at once: the text is one of as many static ones. */
const char *temp_path(const char *name);

/* True when every provided buffer of this shard is back in the kernel's ring. */
bool pools_whole(void);

/* Counter of this shard. */
struct ouro_counters counters_now(void);

/* Runs `how` turns: what was started before has reached the kernel, and what was ready there has
 * come back. Fiber only. */
void turns(unsigned how_many);

/* From OURO_TEST_SEED, or the time; printed. */
uint64_t test_seed(void);
uint64_t random_next(uint64_t *state);

#endif
