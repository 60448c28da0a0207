/*
 * A made-up /proc and /sys in a temporary directory. A test that cannot have one cannot go on:
 * errors abort.
 */
#define _GNU_SOURCE /* nftw */
#include "tree.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char top[256];

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

const char *tree_make(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(top, sizeof(top), "%s/leat-tree-XXXXXX", tmp ? tmp : "/tmp");
    must(mkdtemp(top) != NULL, top);
    return top;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void tree_remove(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_write(const char *path, const char *text)
{
    char full[8192];
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", top, path);
    for (char *c = full + strlen(top) + 1; (c = strchr(c, '/')); c++) {
        *c = '\0';
        (void)mkdir(full, 0755);
        *c = '/';
    }
    file = fopen(full, "w");
    must(file != NULL, full);
    must(fputs(text, file) >= 0 && fclose(file) == 0, full);
}
