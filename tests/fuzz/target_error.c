/* SPDX-License-Identifier: MIT */
/* Errors in words with anybody's texts in them: bounded, printable, the outermost caller first and
 * the cause last. Every line of the input is one caller's object; the first two bytes the error. */
#include "target.h"

#include <ouro/error.h>
#include "base/quote.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static void check(const struct ouro_error *e, int error, const char *doing)
{
    char first[64];

    demand_message(e->text, sizeof e->text);
    demand(e->error == error);
    snprintf(first, sizeof first, "%s: ", doing);
    demand(strncmp(e->text, first, strlen(first)) == 0);
    demand(ends_with(e->text, ouro_strerror(error)));
}

static void quoted(const char *text, size_t len)
{
    char buf[QUOTE_BYTES];

    demand(quote_text(buf, text, len) == buf);
    demand_message(buf, sizeof buf);
    demand(buf[0] == '\'' && ends_with(buf, "'"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const doing[] = {"read", "start service", "open log", "a"};
    struct ouro_error e;
    char *text, *line, *rest;
    unsigned n = 0;
    int error;

    if (size < 2)
        return 0;
    error = -(int)(data[0] | data[1] << 8);
    text = rest = text_of(data + 2, size - 2);
    quoted(text, size - 2);
    while ((line = strsep(&rest, "\n")) != NULL && n < 64) {
        int same = n == 0 ? ouro_error_set(&e, error, doing[0], line)
                          : ouro_error_add(&e, error, doing[n % 4], line);

        demand(same == error);
        check(&e, error, doing[n++ % 4]);
    }
    free(text);
    return 0;
}
