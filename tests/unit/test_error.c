/* SPDX-License-Identifier: MIT */
/* Errors have names, texts, and a context of fixed size whose first words and whose cause survive
 * whatever is put between them. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <ouro/error.h>
#include "support/support.h"

static void texts(void **state)
{
    (void)state;
    assert_string_equal(ouro_strerror(-ENOENT), "No such file or directory");
    assert_string_equal(ouro_strerror(ENOENT), "No such file or directory");
    assert_string_equal(ouro_strerror(0), "Success");
    assert_string_equal(ouro_error_name(-ENOENT), "ENOENT");
    assert_string_equal(ouro_error_name(ECANCELED), "ECANCELED");
    assert_string_equal(ouro_error_name(0), "0");
}

#define COUNT_ONE(name, number, text) +1
static const int own_codes = 0 OURO_ERRORS(COUNT_ONE);

static void own_errors(void **state)
{
    (void)state;
#define SAME(code, number, text)                                                                   \
    assert_int_equal(code, number);                                                                \
    assert_true((number) > 4095 && sizeof(text) > 8);                                              \
    assert_string_equal(ouro_error_name(-(code)), #code);                                          \
    assert_string_equal(ouro_error_name(code), #code);                                             \
    assert_string_equal(ouro_strerror(-(code)), text);                                             \
    assert_string_equal(ouro_strerror(code), text);
    OURO_ERRORS(SAME)
    assert_true(own_codes >= 2);
    assert_string_equal(ouro_error_name(-OURO_ENOSHARD), "OURO_ENOSHARD");
}

static void unknown_errors(void **state)
{
    (void)state;
    assert_string_equal(ouro_strerror(-4711), "error 4711");
    assert_string_equal(ouro_strerror(4711), "error 4711");
    assert_string_equal(ouro_error_name(-4711), "4711");
    assert_string_equal(ouro_error_name(INT_MAX), "2147483647");
    assert_string_equal(ouro_error_name(INT_MIN), "2147483648");
    assert_string_equal(ouro_strerror(INT_MIN), "error 2147483648");
    assert_string_equal(ouro_strerror(512), "error 512");
}

static void *ask_for_another(void *arg)
{
    assert_string_equal(ouro_strerror(4712), "error 4712");
    return arg;
}

static void unknown_ones_of_another_thread(void **state)
{
    const char *mine = ouro_strerror(4711);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ask_for_another, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(mine, "error 4711");
}

static void contexts(void **state)
{
    struct ouro_error e;

    (void)state;
    memset(&e, 'x', sizeof e); /* it needs no initialisation */
    assert_int_equal(ouro_error_set(&e, -ENOENT, "open log", "/x/y"), -ENOENT);
    assert_int_equal(e.error, -ENOENT);
    assert_string_equal(e.text, "open log: /x/y: No such file or directory");
    assert_int_equal(ouro_error_add(&e, -ENOENT, "start service", NULL), -ENOENT);
    assert_string_equal(e.text, "start service: open log: /x/y: No such file or directory");
    assert_int_equal(ouro_error_add(&e, -EIO, "shard", "3"), -EIO);
    assert_int_equal(e.error, -ENOENT);
    assert_string_equal(e.text,
                        "shard: 3: start service: open log: /x/y: No such file or directory");
    assert_int_equal(ouro_error_set(&e, -OURO_EOTHERSHARD, "send", NULL), -OURO_EOTHERSHARD);
    assert_string_equal(e.text, "send: the thing belongs to another shard");
}

static void nobody_wants_to_know(void **state)
{
    (void)state;
    assert_int_equal(ouro_error_set(NULL, -ENOENT, "open log", "/x/y"), -ENOENT);
    assert_int_equal(ouro_error_add(NULL, -ENOENT, "start service", NULL), -ENOENT);
}

static void hostile_objects(void **state)
{
    const struct {
        const char *object, *text;
    } row[] = {
        {"", "open: '': Input/output error"},
        {"a b", "open: 'a b': Input/output error"},
        {"a\nouro: all is well", "open: 'a\\x0aouro: all is well': Input/output error"},
        {"\033[2J", "open: '\\x1b[2J': Input/output error"},
        {"\xff\x7f", "open: '\\xff\\x7f': Input/output error"},
        {"it's", "open: 'it's': Input/output error"},
        {"[::1]:80", "open: [::1]:80: Input/output error"},
        {"unix:@x", "open: unix:@x: Input/output error"},
        {"%s%n", "open: %s%n: Input/output error"},
    };
    struct ouro_error e;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        (void)ouro_error_set(&e, -EIO, "open", row[i].object);
        assert_string_equal(e.text, row[i].text);
    }
}

static void long_texts(void **state)
{
    static char huge[100000];
    struct ouro_error e;
    size_t len;

    (void)state;
    memset(huge, 'h', sizeof huge - 1);
    for (len = 0; len < 300; len++) {
        (void)ouro_error_set(&e, -ENOENT, "open", huge + sizeof huge - 1 - len);
        assert_non_null(strstr(e.text, ": No such file or directory"));
        assert_int_equal(strncmp(e.text, len == 0 || len > 70 ? "open: '" : "open: h", 7), 0);
        assert_true(strlen(e.text) < 120);
    }
    (void)ouro_error_set(&e, -ENOENT, huge, huge);
    assert_non_null(strstr(e.text, ": No such file or directory"));
    (void)ouro_error_add(&e, -ENOENT, huge, huge);
    assert_non_null(strstr(e.text, ": No such file or directory"));
    assert_true(strlen(e.text) < sizeof e.text);
}

/* Each layer adds itself: what began it and what it was about are there at any depth. */
static void deep_chains(void **state)
{
    struct ouro_error e;
    const char cause[] = "log: /x/y: No such file or directory";
    char layer[32];

    (void)state;
    (void)ouro_error_set(&e, -ENOENT, "open log", "/x/y");
    for (int i = 0; i < 200; i++) {
        snprintf(layer, sizeof layer, "layer %d", i);
        (void)ouro_error_add(&e, -ENOENT, layer, "object");
        assert_int_equal(strncmp(e.text, layer, strlen(layer)), 0);
        assert_string_equal(e.text + strlen(e.text) - strlen(cause), cause);
        assert_true(i < 20 || strstr(e.text, "...") != NULL);
        assert_true(strlen(e.text) < sizeof e.text);
    }
    assert_int_equal(strlen(e.text), sizeof e.text - 1); /* no room is wasted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),           cmocka_unit_test(own_errors),
        cmocka_unit_test(unknown_errors),  cmocka_unit_test(unknown_ones_of_another_thread),
        cmocka_unit_test(contexts),        cmocka_unit_test(nobody_wants_to_know),
        cmocka_unit_test(hostile_objects), cmocka_unit_test(long_texts),
        cmocka_unit_test(deep_chains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
