/* SPDX-License-Identifier: MIT */
/* Nobody above a task's function may catch what it throws, not even main() here. */
/* expect: ^ouro: an exception leaves task 'thrower' on shard 0 */
#include <ouro.h>

#include <stdexcept>

static int thrower(void *arg)
{
    (void)arg;
    (void)ouro_yield();
    throw std::runtime_error("not caught");
}

static int main_fn(void *arg)
{
    struct ouro_spawn_options o = {};

    (void)arg;
    o.size = sizeof o;
    o.name = "thrower";
    if (ouro_spawn_with(NULL, thrower, NULL, 0, &o, NULL) != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main()
{
    struct ouro_options o = {};

    o.size = sizeof o;
    o.shards = 1;
    try {
        (void)!ouro_run(&o, main_fn, NULL, NULL);
    } catch (...) {
    }
    return 0; /* alive: that is the failure */
}
