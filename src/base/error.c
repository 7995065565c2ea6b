/* SPDX-License-Identifier: MIT */
#include <ouro/error.h>
#include "base/check.h"
#include "base/quote.h"

#include <stdio.h>
#include <string.h>

static const struct own_error {
    int code;
    const char *name, *text;
} own_errors[] = {
#define OWN_ERROR(code, number, text) {code, #code, text},
    OURO_ERRORS(OWN_ERROR)
#undef OWN_ERROR
};

static const struct own_error *find_own(unsigned code)
{
    for (size_t i = 0; i < array_size(own_errors); i++)
        if ((unsigned)own_errors[i].code == code)
            return &own_errors[i];
    return NULL;
}

/* INT_MIN has no positive; errno values and our own do. */
static unsigned without_sign(int error)
{
    return error < 0 ? 0u - (unsigned)error : (unsigned)error;
}

const char *ouro_strerror(int error)
{
    static __thread char unknown[24];
    unsigned code = without_sign(error);
    const struct own_error *own = find_own(code);
    const char *text = own != NULL         ? own->text
                       : code <= INT32_MAX ? strerrordesc_np((int)code)
                                           : NULL;

    if (text != NULL)
        return text;
    snprintf(unknown, sizeof unknown, "error %u", code);
    return unknown;
}

const char *ouro_error_name(int error)
{
    static __thread char unknown[24];
    unsigned code = without_sign(error);
    const struct own_error *own = find_own(code);
    const char *name = own != NULL         ? own->name
                       : code <= INT32_MAX ? strerrorname_np((int)code)
                                           : NULL;

    if (name != NULL)
        return name;
    snprintf(unknown, sizeof unknown, "%u", code);
    return unknown;
}

/* --- with context ---------------------------------------------------------------------------- */

#define PLAIN_MOST  ((size_t)QUOTE_BYTES - 2)
#define DOING_MOST  48  /* of one caller's words: they are meant to be few */
#define PREFIX_MOST 160 /* "doing: object: ", at least cut so; leaves room for the error's text */

static bool plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '\'')
            return false;
    return len != 0 && len <= PLAIN_MOST;
}

static size_t write_prefix(char prefix[PREFIX_MOST], const char *doing, const char *object)
{
    char quoted[QUOTE_BYTES];
    size_t len = object != NULL ? strnlen(object, PLAIN_MOST + 1) : 0;
    int n;

    if (object != NULL && !plain(object, len))
        object = quote_text(quoted, object, strlen(object));
    n = snprintf(prefix, PREFIX_MOST, "%.*s: %s%s", DOING_MOST, doing != NULL ? doing : "?",
                 object != NULL ? object : "", object != NULL ? ": " : "");
    return (size_t)n;
}

/* Puts the prefix before what stands in the text; dots take the place of what has no room. */
static void put_before(char text[OURO_ERROR_BYTES], const char *prefix, size_t len)
{
    size_t tail = strnlen(text, OURO_ERROR_BYTES - 1);
    size_t room = OURO_ERROR_BYTES - 1 - len;

    if (tail > room) {
        memmove(text + len + 3, text + tail - (room - 3), room - 3);
        memcpy(text + len, "...", 3);
        tail = room;
    } else {
        memmove(text + len, text, tail);
    }
    memcpy(text, prefix, len);
    text[len + tail] = '\0';
}

int ouro_error_add(struct ouro_error *out, int error, const char *doing, const char *object)
{
    char prefix[PREFIX_MOST];
    size_t len;

    if (out == NULL)
        return error;
    len = write_prefix(prefix, doing, object);
    put_before(out->text, prefix, len);
    return error;
}

int ouro_error_set(struct ouro_error *out, int error, const char *doing, const char *object)
{
    if (out == NULL)
        return error;
    out->error = error;
    snprintf(out->text, sizeof out->text, "%s", ouro_strerror(error));
    return ouro_error_add(out, error, doing, object);
}
