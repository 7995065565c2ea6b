/* SPDX-License-Identifier: MIT */
/* Pools of provided buffers keep count: every buffer is in the ring, or out, never both; the ring
 * is a FIFO that wraps; growth doubles up to the maximum; spares are apart. Against a ring in plain
 * memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "buf/pool.h"

static struct io_uring_buf_ring *registered;
static unsigned registered_entries, registered_group, registrations;
static int answer;

static int control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    const struct io_uring_buf_reg *reg = arg;

    (void)ring_fd;
    (void)n;
    if (answer < 0)
        return answer;
    if (opcode == IORING_REGISTER_PBUF_RING) {
        registered = (struct io_uring_buf_ring *)(uintptr_t)reg->ring_addr;
        registered_entries = reg->ring_entries;
        registered_group = reg->bgid;
        registrations++;
    } else if (opcode == IORING_UNREGISTER_PBUF_RING) {
        assert_int_equal(reg->bgid, registered_group);
        registrations--;
    }
    return 0;
}

static const struct kernel fake = {.control = control};
static struct ring ring = {.kernel = &fake};
static struct pool pool;
static uint16_t taken; /* how far the kernel has taken buffers off the ring */

/* The kernel's side: takes the next buffer of the ring; its number, or POOL_NONE. */
static uint32_t kernel_takes(void)
{
    const struct io_uring_buf *b;

    if (taken == registered->tail)
        return POOL_NONE;
    b = &registered->bufs[taken++ & (registered_entries - 1)];
    assert_ptr_equal((char *)(uintptr_t)b->addr, pool_address(&pool, b->bid));
    assert_int_equal(b->len, pool.bytes);
    return b->bid;
}

static void set_up(uint32_t bytes, uint32_t start, uint32_t max, uint32_t spares)
{
    const struct pool_options o = {
        .bytes = bytes, .start = start, .max = max, .spares = spares, .group = 3};

    answer = 0;
    taken = 0;
    assert_int_equal(pool_init(&pool, &ring, &o), 0);
    assert_int_equal(registered_group, 3);
    assert_true(registered_entries >= max);
}

static void tear_down(void)
{
    pool_destroy(&pool, &ring);
    assert_int_equal(registrations, 0);
    assert_null(pool.br);
}

static void starts_full(void **state)
{
    (void)state;
    set_up(512, 16, 64, 0);
    assert_int_equal(pool.live, 16);
    assert_int_equal(pool.in_ring, 16);
    for (uint32_t id = 0; id < 16; id++)
        assert_int_equal(kernel_takes(), id);
    assert_int_equal(kernel_takes(), POOL_NONE);
    tear_down();
}

/* What is put is the kernel's only after it was published. */
static void publishing(void **state)
{
    (void)state;
    set_up(256, 16, 16, 0);
    for (int i = 0; i < 16; i++)
        pool_taken(&pool, kernel_takes(), 1);
    assert_int_equal(pool.in_ring, 0);
    pool_put(&pool, 5);
    assert_int_equal(kernel_takes(), POOL_NONE);
    pool_publish(&pool);
    assert_int_equal(kernel_takes(), 5);
    pool_publish(&pool); /* nothing new */
    assert_int_equal(kernel_takes(), POOL_NONE);
    tear_down();
}

/* Far beyond the wrap of the ring's 16-bit index; first in, first out. */
static void wraps(void **state)
{
    uint32_t out[8];

    (void)state;
    set_up(256, 16, 16, 0);
    for (uint32_t round = 0; round < 30000; round++) {
        for (int i = 0; i < 8; i++) {
            out[i] = kernel_takes();
            assert_int_not_equal(out[i], POOL_NONE);
            pool_taken(&pool, out[i], round % 256 + 1);
            assert_true(pool.buffer[out[i]].out);
            assert_int_equal(pool.buffer[out[i]].len, round % 256 + 1);
            assert_int_equal(pool.buffer[out[i]].next, POOL_NONE);
        }
        assert_int_equal(pool.in_ring, 8);
        for (int i = 7; i >= 0; i--)
            pool_put(&pool, out[i]);
        pool_publish(&pool);
        assert_int_equal(pool.in_ring, 16);
    }
    tear_down();
}

static void grows(void **state)
{
    bool seen[128] = {false};

    (void)state;
    set_up(256, 16, 128, 0);
    assert_false(pool_is_dry(&pool));
    for (int i = 0; i < 16; i++) {
        uint32_t id = kernel_takes();

        seen[id] = true;
        pool_taken(&pool, id, 1);
    }
    assert_false(pool_is_dry(&pool)); /* there are more to be made */
    for (uint32_t live = 32; live < 200; live *= 2) {
        assert_true(pool_grow(&pool));
        assert_int_equal(pool.live, live);
        pool_publish(&pool);
        for (uint32_t id; (id = kernel_takes()) != POOL_NONE;) {
            assert_true(id < pool.live);
            assert_false(seen[id]);
            seen[id] = true;
            pool_taken(&pool, id, 1);
        }
    }
    assert_false(pool_grow(&pool));
    assert_int_equal(pool.live, 128);
    assert_int_equal(pool.grown, 3);
    assert_true(pool_is_dry(&pool));
    for (int i = 0; i < 128; i++)
        assert_true(seen[i]);
    memset(pool_address(&pool, 127), 'x', pool.bytes); /* the last one is ours to the end */
    tear_down();
}

/* Spares lie behind the others, are taken and given in any order, and never reach the ring. */
static void spares(void **state)
{
    uint32_t id[4];

    (void)state;
    set_up(256, 16, 32, 4);
    for (uint32_t i = 0; i < 4; i++) {
        id[i] = pool_spare_take(&pool);
        assert_in_range(id[i], 32, 35);
        pool_spare_taken(&pool, id[i], 256); /* filled, and ours to read and write */
        memset(pool_address(&pool, id[i]), 's', 256);
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(id[k], id[i]);
    }
    assert_int_equal(pool_spare_take(&pool), POOL_NONE);
    pool_spare_put(&pool, id[1]);
    pool_spare_put(&pool, id[3]);
    assert_int_equal(pool_spare_take(&pool), id[3]);
    assert_int_equal(pool_spare_take(&pool), id[1]);
    assert_int_equal(pool_spare_take(&pool), POOL_NONE);
    assert_int_equal(pool.in_ring, 16);
    tear_down();
}

static void refused_by_the_kernel(void **state)
{
    const struct pool_options o = {.bytes = 256, .start = 16, .max = 16};

    (void)state;
    answer = -EINVAL;
    assert_int_equal(pool_init(&pool, &ring, &o), -EINVAL);
    assert_null(pool.br);
    answer = 0;
    pool_destroy(&pool, &ring); /* of what never was: nothing */
    assert_int_equal(registrations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_full), cmocka_unit_test(publishing),
        cmocka_unit_test(wraps),       cmocka_unit_test(grows),
        cmocka_unit_test(spares),      cmocka_unit_test(refused_by_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
