/*
 * race/kit.h - two to four threads that play one ordering pair against each other, round by round,
 * on real hardware.
 *
 * A round begins when all of them have arrived, and each then waits for some random time below a
 * microsecond, so that every instant of one meets every instant of the others. Wrong things are
 * counted by whoever sees them, and looked at when the threads are gone; a lost wake-up is a hang,
 * which the runner ends.
 *
 * In the checked build LEA_DELAY_SEED also holds the threads up at the pairs' named points
 * (runtime/base/delay.h); it is printed.
 */
#ifndef LEAT_TESTS_RACE_KIT_H
#define LEAT_TESTS_RACE_KIT_H

#include "sync/each.h"

#include "base/atomic.h"
#include "co/co.h"

#include <pthread.h>

#define RACE_THREADS 4

/* Something is wrong: said once for each place, and counted. */
void race_wrong(const char *file, int line, const char *what);
#define RACE_CHECK(cond) ((cond) ? (void)0 : race_wrong(__FILE__, __LINE__, #cond))

/*
 * One after the other: fn[i](arg) in a thread of its own each, until all have ended. Returns how
 * often something was wrong.
 */
unsigned race_run(unsigned n, void *(*const *fn)(void *), void *arg);

/* The same function in n threads. */
unsigned race_run_same(unsigned n, void *(*fn)(void *), void *arg);

/*
 * A round begins, or is over, when all threads of the run are here. True: it is one more round; all
 * get the same answer.
 */
void race_meet(void);
bool race_next_round(long most, int64_t span_ns);

/* The caller's place among the threads, 0 and up. */
unsigned race_self(void);

/* Some random time, another one each time. */
void race_jitter(void);
uint32_t race_random(uint32_t below);

/* Spin, politely, until the word has this value. */
void race_await(const lea_u32 *word, uint32_t value);

/*
 * --- coroutines without a scheduler: a thread that waits and is woken through a coroutine's record
 * ---
 */

struct race_co {
    struct lea_co co;
    lea_u32 turn; /* how often it was made ready; a futex */
    /* stands for the registers: written before it parks, read by whoever makes it ready */
    uint64_t saved;
};

void race_co_init(struct race_co *c);

/*
 * Park with a ticket until its claim. At the end everybody who was to make it ready has done so,
 * once.
 */
enum lea_wake race_park(struct race_co *c, uintptr_t ticket, bool shielded);

/* What a scheduler does with a list of ready coroutines. */
void race_ready(struct lea_ready_list *list);

#endif
