/* SPDX-License-Identifier: MIT */
/* Instead of libFuzzer: hands every file of a directory to the target, whole and cut off. */
#include "target.h"

#include <dirent.h>

enum { MOST = 65536 };

static void replay(const char *directory, const char *name)
{
    static uint8_t data[MOST];
    char path[4096];
    size_t size;
    FILE *f;

    demand(snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path);
    f = fopen(path, "rb");
    demand(f != NULL);
    size = fread(data, 1, sizeof data, f);
    fclose(f);
    for (size_t cut = 0; cut <= size && cut < 64; cut++)
        LLVMFuzzerTestOneInput(data, size - cut);
    for (size_t i = 0; i < size && i < 256; i++) { /* and with each byte damaged */
        data[i] ^= 0x80;
        LLVMFuzzerTestOneInput(data, size);
        data[i] ^= 0x80 ^ 1;
        LLVMFuzzerTestOneInput(data, size);
        data[i] ^= 1;
    }
}

int main(int argc, char **argv)
{
    const struct dirent *entry;
    unsigned n = 0;
    DIR *d;

    demand(argc == 2);
    d = opendir(argv[1]);
    demand(d != NULL);
    while ((entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.') {
            replay(argv[1], entry->d_name);
            n++;
        }
    closedir(d);
    demand(n != 0);
    printf("%u files of %s\n", n, argv[1]);
    return 0;
}
