/* SPDX-License-Identifier: MIT */
/* Errors for people: their names and texts, and what was being done when one came up.
 *
 * A struct ouro_error costs nothing until there is an error: it needs no initialisation, and is
 * written only by whoever fails. Each caller that knows more adds it in front:
 *
 *     static int open_log(ouro_file *out, const char *path, struct ouro_error *why)
 *     {
 *         int error = ouro_open(out, path, O_WRONLY | O_CREAT, 0600);
 *
 *         return error == 0 ? 0 : ouro_error_set(why, error, "open log", path);
 *     }
 *
 *     error = open_log(&log, path, &why);
 *     if (error != 0) {
 *         ouro_error_add(&why, error, "start service", NULL);
 *         puts(why.text);  // start service: open log: /x/y: No such file or directory
 *     }
 *
 * On any thread, in fibers too: they take a few hundred bytes of stack. Since version 0.1. */
#ifndef OURO_ERROR_H
#define OURO_ERROR_H

#include <ouro/base.h>

OURO_BEGIN_DECLS

/* The text of an errno value or of an enum ouro_error_code, of either sign: "No such file or
 * directory", "the thing belongs to another shard"; 0: "Success". Not translated. What is neither
 * is named by its number, "error 4711", in memory of the calling thread that its next call for such
 * a one overwrites; every other text lasts. */
OURO_API const char *ouro_strerror(int error);

/* Its name: "ENOENT", "OURO_ENOSHARD"; "0"; otherwise the number, "4711", in such memory too. */
OURO_API const char *ouro_error_name(int error);

/* Long enough for several callers and a quoted text or two. */
#define OURO_ERROR_BYTES 256

/* A failure in words. A plain value: copy it as you like. */
struct ouro_error {
    int error;                   /* as given to ouro_error_set() */
    char text[OURO_ERROR_BYTES]; /* "doing: object: text of the error"; always ends in a NUL */
};

/* Writes a new one and returns `error`. `out` may be NULL: the caller does not want to know.
 * `doing` is the program's own text and stands as it is. `object` (NULL: none) may be anybody's: it
 * stands as it is only if it is at most 70 characters that print, without a space or quote among
 * them; otherwise it is quoted, shortened, and what does not print is escaped, so that it can
 * neither drive a terminal nor pass for another message. */
OURO_API int ouro_error_set(struct ouro_error *out, int error, const char *doing,
                            const char *object);

/* Puts "doing: object: " in front of one that was set, and returns `error`. When there is no room
 * for all, "..." stands for the middle: the outermost callers and the cause itself are kept. */
OURO_API int ouro_error_add(struct ouro_error *out, int error, const char *doing,
                            const char *object);

OURO_END_DECLS

#endif
