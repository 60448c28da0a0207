/*
 * base/cpus.h - how many CPUs this process may use, and which.
 *
 * Two limits count: the affinity mask (taskset, cpusets) and the CPU bandwidth quota of every
 * cgroup that we are in, from our own up to the highest one that is visible here, version 1 and
 * version 2 alike: the tightest one decides.
 *
 * Always: 1 <= nr_usable <= max(1, nr_allowed); what cannot be read or understood is no limit,
 * never an error. The lea_cpus_ functions run on a plain thread and take up to 50 KiB of its stack;
 * nothing here keeps state.
 */
#ifndef LEA_BASE_CPUS_H
#define LEA_BASE_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Capacity of a CPU set: CPU numbers are 0..4095, whatever the size of libc's cpu_set_t. */
#define LEA_CPUSET_MAX 4096

/* A set of CPUs, laid out as the kernel's affinity masks are. Empty when zero. */
struct lea_cpuset {
    uint64_t word[LEA_CPUSET_MAX / 64];
};

/*
 * What was found out about our CPUs. A reading of one moment: affinity and quota may change under
 * us.
 */
struct lea_cpus {
    struct lea_cpuset allowed; /* by affinity of the thread that asked; never empty */
    unsigned nr_allowed;       /* their number */
    unsigned quota;            /* tightest quota in whole CPUs, rounded up; 0 none */
    unsigned nr_usable;        /* max(1, min(nr_allowed, quota)) */
    bool whole_machine;        /* every online CPU is allowed, and no quota is below their number */
};

/*
 * Look at affinity, quotas and online CPUs. @root is put before every path that is read ("" for the
 * real system; a directory with a made-up proc and sys below it in tests); the affinity is always
 * the calling thread's.
 */
void lea_cpus_look(struct lea_cpus *out, const char *root);

/*
 * As lea_cpus_look(), for a given affinity. An empty @allowed stands for "unknown": the online
 * CPUs, or CPU 0 if those are unknown too.
 */
void lea_cpus_look_for(struct lea_cpus *out, const char *root, const struct lea_cpuset *allowed);

/* How many CPUs may we use on the real system: nr_usable of lea_cpus_look(). */
unsigned lea_cpus_usable(void);

/* The affinity of the calling thread. Returns: 0; negative errno, and then the set is empty. */
int lea_cpuset_get_affinity(struct lea_cpuset *out);

/*
 * Let a thread (0: the calling one) run on these CPUs only. Returns: 0; -EINVAL none of them may be
 * used; other negative errno.
 */
int lea_cpuset_set_affinity(int tid, const struct lea_cpuset *set);

/*
 * Parse a CPU list such as "0-3,8,10-11"; overlaps are fine. On error @why (never NULL) becomes a
 * static text that continues "…: ", such as "a range runs backwards", and the set is empty.
 * Returns: 0; -EINVAL.
 */
int lea_cpuset_parse(struct lea_cpuset *out, const char *text, const char **why);

/*
 * Write the set as a CPU list, cut with "..." if it does not fit. Returns @buf; @size at least 8.
 * An empty set gives "none".
 */
const char *lea_cpuset_format(const struct lea_cpuset *set, char *buf, size_t size);

/* The lowest CPU of the set that is at least @from; -1 there is none. */
int lea_cpuset_next(const struct lea_cpuset *set, unsigned from);

unsigned lea_cpuset_count(const struct lea_cpuset *set);
bool lea_cpuset_subset(const struct lea_cpuset *part, const struct lea_cpuset *whole);

static inline void lea_cpuset_add(struct lea_cpuset *set, unsigned cpu)
{
    set->word[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

static inline bool lea_cpuset_has(const struct lea_cpuset *set, unsigned cpu)
{
    return cpu < LEA_CPUSET_MAX && (set->word[cpu / 64] >> (cpu % 64) & 1);
}

#endif
