/*
 * A made-up /proc and /sys in a temporary directory, for code that reads its paths below a root.
 */
#ifndef LEAT_TESTS_CONFIG_TREE_H
#define LEAT_TESTS_CONFIG_TREE_H

/* A fresh, empty directory; its path lives until tree_remove(). One at a time. */
const char *tree_make(void);
void tree_remove(void);

/*
 * Writes a file below the tree and makes the directories that lead to it. @path begins with a
 * slash.
 */
void tree_write(const char *path, const char *text);

#endif
