/* SPDX-License-Identifier: MIT */
#include <ouro/parse.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/quote.h"

/* One text being read, and where its error goes. */
struct parse {
    const char *text;
    char *err;
    size_t err_size;
};

/* A spelling and what it multiplies by. */
struct parse_unit {
    const char *name;
    uint64_t factor;
};

static const struct parse_unit duration_units[] = {
    {"ns", UINT64_C(1)},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
    {NULL, 0},
};

static const struct parse_unit size_units[] = {
    {"", UINT64_C(1)},          {"k", UINT64_C(1) << 10},
    {"K", UINT64_C(1) << 10},   {"KiB", UINT64_C(1) << 10},
    {"m", UINT64_C(1) << 20},   {"M", UINT64_C(1) << 20},
    {"MiB", UINT64_C(1) << 20}, {"g", UINT64_C(1) << 30},
    {"G", UINT64_C(1) << 30},   {"GiB", UINT64_C(1) << 30},
    {"t", UINT64_C(1) << 40},   {"T", UINT64_C(1) << 40},
    {"TiB", UINT64_C(1) << 40}, {NULL, 0},
};

/* Every error leaves through here: "'<text>' <what is wrong>". */
__attribute__((format(printf, 3, 4))) static int parse_fail(const struct parse *in, int code,
                                                            const char *format, ...)
{
    char quoted[QUOTE_BYTES];
    va_list args;
    int used;

    if (!in->err || in->err_size == 0)
        return code;
    used = snprintf(in->err, in->err_size, "%s ", quote_text(quoted, in->text, strlen(in->text)));
    if (used < 0 || (size_t)used >= in->err_size)
        return code;
    va_start(args, format);
    vsnprintf(in->err + used, in->err_size - (size_t)used, format, args);
    va_end(args);
    return code;
}

/* A NULL argument has no text to quote. */
static int parse_fail_null(char *err, size_t err_size)
{
    if (err && err_size > 0)
        snprintf(err, err_size, "no value is given");
    return -EINVAL;
}

/*
 * Reads the digits that text begins with and returns their count. A number that does not fit is
 * reported as one too many: *fits is false.
 */
static size_t read_digits(const char *text, uint64_t *value, bool *fits)
{
    size_t n = 0;

    *value = 0;
    *fits = true;
    for (; text[n] >= '0' && text[n] <= '9'; n++) {
        if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[n] - '0'), value))
            *fits = false;
    }
    return n;
}

int ouro_parse_uint(uint64_t *out, const char *text, uint64_t min, uint64_t max, char *err,
                    size_t err_size)
{
    const struct parse in = {text, err, err_size};
    uint64_t value;
    size_t digits;
    bool fits;
    int code = 0;

    if (!out || !text)
        return parse_fail_null(err, err_size);
    digits = read_digits(text, &value, &fits);
    if (digits == 0 || text[digits] != '\0' || min > max)
        code = -EINVAL;
    else if (!fits || value < min || value > max)
        code = -ERANGE;
    if (code)
        return parse_fail(&in, code, "is not a number between %" PRIu64 " and %" PRIu64, min, max);
    *out = value;
    return 0;
}

/* The factor of a unit, 0 when it is none. */
static uint64_t unit_factor(const struct parse_unit *units, const char *name)
{
    for (; units->name; units++) {
        if (strcmp(units->name, name) == 0)
            return units->factor;
    }
    return 0;
}

int ouro_parse_duration(uint64_t *out_ns, const char *text, char *err, size_t err_size)
{
    const struct parse in = {text, err, err_size};
    uint64_t value, factor;
    size_t digits;
    bool fits;

    if (!out_ns || !text)
        return parse_fail_null(err, err_size);
    digits = read_digits(text, &value, &fits);
    if (digits == 0)
        return parse_fail(&in, -EINVAL, "is not a duration such as 500ms or 5s");
    factor = unit_factor(duration_units, text + digits);
    if (text[digits] == '\0' && fits && value == 0)
        factor = 1;
    if (text[digits] == '\0' && factor == 0)
        return parse_fail(&in, -EINVAL, "needs a unit: ns, us, ms, s, m or h");
    if (factor == 0)
        return parse_fail(&in, -EINVAL,
                          "is not a whole number and one unit of ns, us, ms, s, m, h");
    if (!fits || __builtin_mul_overflow(value, factor, &value) || value > INT64_MAX)
        return parse_fail(&in, -ERANGE, "is longer than the longest duration, 292 years");
    *out_ns = value;
    return 0;
}

int ouro_parse_size(uint64_t *out_bytes, const char *text, char *err, size_t err_size)
{
    const struct parse in = {text, err, err_size};
    uint64_t value, factor;
    size_t digits;
    bool fits;

    if (!out_bytes || !text)
        return parse_fail_null(err, err_size);
    digits = read_digits(text, &value, &fits);
    if (digits == 0)
        return parse_fail(&in, -EINVAL, "is not a size such as 4096, 16k or 2M");
    factor = unit_factor(size_units, text + digits);
    if (factor == 0)
        return parse_fail(&in, -EINVAL, "is not a whole number and one unit of k, M, G, T");
    if (!fits || __builtin_mul_overflow(value, factor, &value))
        return parse_fail(&in, -ERANGE, "is more than 2^64 - 1 bytes");
    *out_bytes = value;
    return 0;
}

/* A CPU list half read; seen[] finds duplicates. */
struct cpulist_reader {
    struct parse in;
    const char *at;
    bool seen[OURO_CPULIST_MAX];
    struct ouro_cpulist list;
};

static int cpulist_number(struct cpulist_reader *reader, uint64_t *cpu)
{
    const char *at = reader->at;
    size_t digits;
    bool fits;

    digits = read_digits(at, cpu, &fits);
    if (digits == 0)
        return parse_fail(&reader->in, -EINVAL,
                          "is not a list of CPUs such as 0-3,8: byte %zu should be a digit",
                          (size_t)(at - reader->in.text) + 1);
    if (!fits || *cpu >= OURO_CPULIST_MAX)
        return parse_fail(&reader->in, -ERANGE, "names a CPU above %d", OURO_CPULIST_MAX - 1);
    reader->at += digits;
    return 0;
}

static int cpulist_range(struct cpulist_reader *reader)
{
    uint64_t first, last;
    int code;

    code = cpulist_number(reader, &first);
    if (code)
        return code;
    last = first;
    if (*reader->at == '-') {
        reader->at++;
        code = cpulist_number(reader, &last);
        if (code)
            return code;
    }
    if (last < first)
        return parse_fail(&reader->in, -EINVAL,
                          "has a range that runs backwards, %" PRIu64 "-%" PRIu64, first, last);
    for (uint64_t cpu = first; cpu <= last; cpu++) {
        if (reader->seen[cpu])
            return parse_fail(&reader->in, -EINVAL, "names CPU %" PRIu64 " twice", cpu);
        reader->seen[cpu] = true;
        reader->list.cpu[reader->list.count++] = (uint16_t)cpu;
    }
    return 0;
}

int ouro_parse_cpulist(struct ouro_cpulist *out, const char *text, char *err, size_t err_size)
{
    struct cpulist_reader reader = {.in = {text, err, err_size}, .at = text};
    int code;

    if (!out || !text)
        return parse_fail_null(err, err_size);
    for (;;) {
        code = cpulist_range(&reader);
        if (code)
            return code;
        if (*reader.at == '\0')
            break;
        if (*reader.at != ',')
            return parse_fail(&reader.in, -EINVAL,
                              "is not a list of CPUs such as 0-3,8: byte %zu should be a comma",
                              (size_t)(reader.at - text) + 1);
        reader.at++;
    }
    *out = reader.list;
    return 0;
}

/* --- CPUs by policy -------------------------------------------------------------------------- */

static const struct cpus_word {
    const char *name;
    enum ouro_cpus_policy policy;
} cpus_words[] = {
    {"all", OURO_CPUS_ALL},         {"cores", OURO_CPUS_CORES}, {"spread", OURO_CPUS_SPREAD},
    {"compact", OURO_CPUS_COMPACT}, {"node", OURO_CPUS_NODE},   {"near", OURO_CPUS_NEAR},
};

static const struct cpus_word *cpus_word(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof cpus_words / sizeof cpus_words[0]; i++)
        if (strlen(cpus_words[i].name) == n && memcmp(cpus_words[i].name, text, n) == 0)
            return &cpus_words[i];
    return NULL;
}

/* A whole number after the colon. */
static int cpus_number(const struct parse *in, unsigned *out, const char *text, uint64_t min,
                       uint64_t max, const char *what)
{
    uint64_t value;
    bool fits;
    size_t digits = read_digits(text, &value, &fits);

    if (digits == 0 || text[digits] != '\0')
        return parse_fail(in, -EINVAL, "needs %s after the colon", what);
    if (!fits || value < min || value > max)
        return parse_fail(in, -ERANGE, "has %s outside of %" PRIu64 " to %" PRIu64, what, min, max);
    *out = (unsigned)value;
    return 0;
}

static int cpus_device(const struct parse *in, struct ouro_cpus *cpus, const char *name)
{
    if (strncmp(name, "/dev/", 5) == 0)
        name += 5;
    if (*name == '\0')
        return parse_fail(in, -EINVAL, "needs a device after the colon, such as eth0");
    if (strlen(name) >= sizeof cpus->device)
        return parse_fail(in, -ERANGE, "has a device name of more than %zu bytes",
                          sizeof cpus->device - 1);
    memcpy(cpus->device, name, strlen(name) + 1);
    return 0;
}

/* `rest` follows the word: "", or a colon and what stands behind it. */
static int cpus_argument(const struct parse *in, struct ouro_cpus *cpus, const char *rest)
{
    const char *argument = *rest == ':' ? rest + 1 : rest;

    switch (cpus->policy) {
    case OURO_CPUS_NODE:
        return cpus_number(in, &cpus->node, argument, 0, OURO_CPULIST_MAX - 1, "a node's number");
    case OURO_CPUS_NEAR:
        return cpus_device(in, cpus, argument);
    default:
        if (*rest == '\0')
            return 0;
        return cpus_number(in, &cpus->count, argument, 1, OURO_CPULIST_MAX, "a number of CPUs");
    }
}

int ouro_parse_cpus(struct ouro_cpus *out, const char *text, char *err, size_t err_size)
{
    const struct parse in = {text, err, err_size};
    const struct cpus_word *word;
    struct ouro_cpus cpus = {.policy = OURO_CPUS_LIST};
    size_t n;
    int code;

    if (!out || !text)
        return parse_fail_null(err, err_size);
    n = strcspn(text, ":");
    word = cpus_word(text, n);
    if (word) {
        cpus.policy = word->policy;
        code = cpus_argument(&in, &cpus, text + n);
    } else if (*text >= '0' && *text <= '9') {
        code = ouro_parse_cpulist(&cpus.list, text, err, err_size);
    } else {
        code = parse_fail(&in, -EINVAL,
                          "is not a list of CPUs such as 0-3,8, nor all, cores, spread, compact, "
                          "node:N or near:DEVICE");
    }
    if (code == 0)
        *out = cpus;
    return code;
}
