/* SPDX-License-Identifier: MIT */
#include "support/support.h"

#include <ouro/task.h>

void must_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: FAILED in task '%s' on shard %d: %s\n", file, line, ouro_task_name(),
            ouro_current_shard(), what);
    fflush(NULL);
    abort();
}

void must_be_equal(const char *file, int line, const char *what, long long actual,
                   long long expected)
{
    char text[512];

    if (actual == expected)
        return;
    snprintf(text, sizeof text, "%s: %lld, not %lld", what, actual, expected);
    must_fail(file, line, text);
}

void until_pause(unsigned n)
{
    if (n < 64)
        (void)ouro_yield();
    else
        (void)ouro_sleep(50 * US);
}

bool slow_build(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(OURO_VALGRIND)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}
