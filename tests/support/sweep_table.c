/* SPDX-License-Identifier: MIT */
#include "support/sweep_table.h"
#include "support/fake_kernel.h"

#define ROWS   32
#define SCENES 16

static struct {
    const struct sweep_row *row;
    struct sweep cell[SCENES];
    bool tried[SCENES];
} kept[ROWS];
static unsigned kept_n;

bool sweep_full(void)
{
    const char *text = getenv("OURO_SWEEP");

    return text != NULL && strcmp(text, "full") == 0;
}

static struct sweep under_all_errors(const struct sweep_row *row, const struct scene *scene)
{
    unsigned seeds = sweep_full() ? 300 : slow_build() ? 3 : 12, i = 0;
    struct sweep sum = {0};

    do {
        struct fault f = {.where = row->where, .error = row->errors[i]};
        struct sweep one = {0};

        if (row->always)
            for (enum echo_form form = 0; form < scene->forms; form++, one.runs++)
                one.injected += scene_once(scene, &f, form);
        else
            one = scene_sweep(scene, f, seeds);
        sum.runs += one.runs;
        sum.injected += one.injected;
    } while (row->errors[i] != 0 && row->errors[++i] != 0);
    return sum;
}

void sweep_run(const struct sweep_row *row)
{
    bool fake = faulty_below == &kernel_fake;
    unsigned injected = 0;

    must(kept_n < ROWS && scenes_n <= SCENES);
    kept[kept_n].row = row;
    for (unsigned i = 0; i < scenes_n; i++) {
        if ((row->only != NULL && strcmp(row->only, scenes[i].name) != 0) ||
            (fake && scenes[i].asks_names))
            continue;
        kept[kept_n].cell[i] = under_all_errors(row, &scenes[i]);
        kept[kept_n].tried[i] = true;
        injected += kept[kept_n].cell[i].injected;
    }
    kept_n++;
    must(injected != 0);
}

static void print_to(FILE *f, const char *title)
{
    unsigned runs = 0, injected = 0;

    fprintf(f, "\n## %s\n\n| fault |", title);
    for (unsigned i = 0; i < scenes_n; i++)
        fprintf(f, " %s |", scenes[i].name);
    fprintf(f, "\n|---|");
    for (unsigned i = 0; i < scenes_n; i++)
        fprintf(f, "---:|");
    for (unsigned k = 0; k < kept_n; k++) {
        fprintf(f, "\n| %s |", kept[k].row->name);
        for (unsigned i = 0; i < scenes_n; i++) {
            if (kept[k].tried[i])
                fprintf(f, " %u |", kept[k].cell[i].injected);
            else
                fprintf(f, " |");
            runs += kept[k].cell[i].runs;
            injected += kept[k].cell[i].injected;
        }
    }
    fprintf(f, "\n\n%u faults in %u runs.\n", injected, runs);
}

void sweep_print(const char *title)
{
    const char *path = getenv("OURO_SWEEP_TABLE");
    FILE *f = path != NULL ? fopen(path, "a") : NULL;

    print_to(stdout, title);
    if (f != NULL) {
        print_to(f, title);
        fclose(f);
    }
}
