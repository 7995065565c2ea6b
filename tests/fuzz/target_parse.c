/* SPDX-License-Identifier: MIT */
/* Numbers, durations, sizes and lists of CPUs, against a second reader that is written for clarity.
 * The first byte chooses which. */
#include "target.h"

#include <errno.h>
#include <ouro/parse.h>

struct reading {
    const char *unit;
    uint64_t factor;
};

static const struct reading durations[] = {{"ns", 1},
                                           {"us", 1000},
                                           {"ms", 1000000},
                                           {"s", 1000000000},
                                           {"m", UINT64_C(60000000000)},
                                           {"h", UINT64_C(3600000000000)},
                                           {NULL, 0}};

static const struct reading sizes[] = {
    {"", 1},           {"k", 1 << 10},    {"K", 1 << 10},      {"KiB", 1 << 10}, {"m", 1 << 20},
    {"M", 1 << 20},    {"MiB", 1 << 20},  {"g", 1 << 30},      {"G", 1 << 30},   {"GiB", 1 << 30},
    {"t", 1ull << 40}, {"T", 1ull << 40}, {"TiB", 1ull << 40}, {NULL, 0}};

static const struct reading plain[] = {{"", 1}, {NULL, 0}};

/* What the text says: 0 and the value, or the error. */
static int expected(const char *text, const struct reading *units, uint64_t most, uint64_t *value)
{
    size_t digits = strspn(text, "0123456789");
    unsigned __int128 v = 0;

    if (digits == 0)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        v = v > UINT64_MAX ? v : v * 10 + (unsigned)(text[i] - '0');
    if (units == durations && text[digits] == '\0' && v == 0) {
        *value = 0;
        return 0;
    }
    for (; units->unit != NULL; units++)
        if (strcmp(units->unit, text + digits) == 0) {
            v = v > UINT64_MAX ? v : v * units->factor;
            *value = (uint64_t)v;
            return v > most ? -ERANGE : 0;
        }
    return -EINVAL;
}

static void check(const char *text, int code, uint64_t value, const struct reading *units,
                  uint64_t most, const char *err)
{
    uint64_t right = 0;

    demand(code == expected(text, units, most, &right));
    if (code == 0)
        demand(value == right);
    else
        demand(value == 4711);
    if (code != 0)
        demand_message(err, OURO_PARSE_ERROR_BYTES);
}

static void numbers(const char *text, unsigned which)
{
    char err[OURO_PARSE_ERROR_BYTES], cut[7];
    uint64_t value = 4711, other = 0;
    int code;

    switch (which) {
    case 0:
        code = ouro_parse_uint(&value, text, 0, UINT64_MAX, err, sizeof err);
        check(text, code, value, plain, UINT64_MAX, err);
        break;
    case 1:
        code = ouro_parse_duration(&value, text, err, sizeof err);
        check(text, code, value, durations, INT64_MAX, err);
        break;
    default:
        code = ouro_parse_size(&value, text, err, sizeof err);
        check(text, code, value, sizes, UINT64_MAX, err);
    }
    memset(cut, 'x', sizeof cut);
    if (ouro_parse_duration(&other, text, cut, sizeof cut) != 0)
        demand(memchr(cut, 0, sizeof cut) != NULL);
}

/* A list that was read is written as numbers and read again: the same CPUs in the same order. */
static void list(const char *text)
{
    static struct ouro_cpulist cpus, again;
    static char plainly[OURO_CPULIST_MAX * 5 + 1];
    char err[OURO_PARSE_ERROR_BYTES];
    bool seen[OURO_CPULIST_MAX] = {false};
    size_t at = 0;
    int code = ouro_parse_cpulist(&cpus, text, err, sizeof err);

    if (code != 0) {
        demand(code == -EINVAL || code == -ERANGE);
        demand_message(err, sizeof err);
        return;
    }
    demand(cpus.count >= 1 && cpus.count <= OURO_CPULIST_MAX);
    for (unsigned i = 0; i < cpus.count; i++) {
        demand(cpus.cpu[i] < OURO_CPULIST_MAX && !seen[cpus.cpu[i]]);
        seen[cpus.cpu[i]] = true;
        at += (size_t)snprintf(plainly + at, sizeof plainly - at, "%s%u", i == 0 ? "" : ",",
                               cpus.cpu[i]);
    }
    demand(ouro_parse_cpulist(&again, plainly, NULL, 0) == 0);
    demand(again.count == cpus.count);
    demand(memcmp(again.cpu, cpus.cpu, cpus.count * sizeof cpus.cpu[0]) == 0);
}

/* Whatever names CPUs by a word: a list is one, with the same CPUs. */
static void cpus(const char *text)
{
    static struct ouro_cpus of_words;
    static struct ouro_cpulist of_list;
    char err[OURO_PARSE_ERROR_BYTES];
    int code = ouro_parse_cpus(&of_words, text, err, sizeof err);

    if (code != 0) {
        demand(code == -EINVAL || code == -ERANGE);
        demand_message(err, sizeof err);
        demand(ouro_parse_cpulist(&of_list, text, NULL, 0) != 0);
    } else if (ouro_parse_cpulist(&of_list, text, NULL, 0) == 0) {
        demand(of_words.list.count == of_list.count);
        demand(memcmp(of_words.list.cpu, of_list.cpu, of_list.count * sizeof of_list.cpu[0]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    text = text_of(data + 1, size - 1);
    if (data[0] % 5 < 3)
        numbers(text, data[0] % 5);
    else if (data[0] % 5 == 3)
        list(text);
    else
        cpus(text);
    free(text);
    return 0;
}
