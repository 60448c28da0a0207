/*
 * tests/go/fake.h - a runtime that only remembers spawns: it copies the arguments as the real one
 * does (16-byte aligned and no more, or by move), scribbles over the caller's, and runs them when
 * told to. Plain C and C++, no test runner: see matrix.
 */
#ifndef LEAT_TESTS_GO_FAKE_H
#define LEAT_TESTS_GO_FAKE_H

#include <leat/go.h>
#include <stdio.h>

LEAT_BEGIN_DECLS

/* What the last spawn was called with. */
struct fake_spawn {
    const struct leat_site_ *site;
    const leat_attr *attr;
    leat_group *group;
    leat_handle **handle;
    size_t bytes;
    int plain; /* it was leat_go_() */
};
extern struct fake_spawn fake_last;
extern unsigned fake_nr_spawns;
extern unsigned fake_nr_failed;

/* Result of the spawns to come; other than 0 they copy nothing. */
extern int fake_rc;

/* Run what was spawned, in order. Returns the result of the last. */
leat_result fake_run(void);

/* The same, but drop it unrun. */
void fake_drop(void);

void fake_check(int ok, const char *file, int line, const char *text);
int fake_report(void);

LEAT_END_DECLS

#define CHECK(cond) fake_check((cond) ? 1 : 0, __FILE__, __LINE__, #cond)

#endif
