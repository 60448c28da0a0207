/*
 * How many CPUs we may use, and which: CPU sets, their text form, and the judgement over affinity,
 * quota and online CPUs.
 */
#include "base/cpus.h"

#include "base/cgroup.h"
#include "base/number.h"
#include "base/os.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- sets --- */

int lea_cpuset_next(const struct lea_cpuset *set, unsigned from)
{
    for (unsigned w = from / 64; w < LEA_CPUSET_MAX / 64; w++) {
        uint64_t bits = set->word[w];

        if (w == from / 64)
            bits &= UINT64_MAX << (from % 64);
        if (bits)
            return (int)(w * 64) + __builtin_ctzll(bits);
    }
    return -1;
}

unsigned lea_cpuset_count(const struct lea_cpuset *set)
{
    unsigned n = 0;

    for (unsigned w = 0; w < LEA_CPUSET_MAX / 64; w++)
        n += (unsigned)__builtin_popcountll(set->word[w]);
    return n;
}

bool lea_cpuset_subset(const struct lea_cpuset *part, const struct lea_cpuset *whole)
{
    for (unsigned w = 0; w < LEA_CPUSET_MAX / 64; w++)
        if (part->word[w] & ~whole->word[w])
            return false;
    return true;
}

int lea_cpuset_get_affinity(struct lea_cpuset *out)
{
    int n;

    memset(out, 0, sizeof(*out));
    n = lea_os_affinity_get(out->word, sizeof(out->word));
    return n < 0 ? n : 0;
}

int lea_cpuset_set_affinity(int tid, const struct lea_cpuset *set)
{
    return lea_os_affinity_set(tid, set->word, sizeof(set->word));
}

/* --- text --- */

/* One "a" or "a-b"; moves *at behind it. NULL, or what is wrong. */
static const char *parse_range(struct lea_cpuset *set, const char **at)
{
    uint64_t first, last;

    if (**at < '0' || **at > '9')
        return "a CPU number is missing";
    if (!lea_number_scan(at, &first) || first >= LEA_CPUSET_MAX)
        return "CPU numbers end at 4095";
    last = first;
    if (**at == '-') {
        (*at)++;
        if (**at < '0' || **at > '9')
            return "a range has no end";
        if (!lea_number_scan(at, &last) || last >= LEA_CPUSET_MAX)
            return "CPU numbers end at 4095";
    }
    if (last < first)
        return "a range runs backwards";
    for (uint64_t cpu = first; cpu <= last; cpu++)
        lea_cpuset_add(set, (unsigned)cpu);
    return NULL;
}

int lea_cpuset_parse(struct lea_cpuset *out, const char *text, const char **why)
{
    const char *at = text;

    *why = NULL;
    memset(out, 0, sizeof(*out));
    if (*at == '\0')
        *why = "it is empty";
    while (!*why) {
        *why = parse_range(out, &at);
        if (*why || *at == '\0')
            break;
        if (*at++ != ',')
            *why = "only digits, '-' and ',' may stand in it";
    }
    if (!*why)
        return 0;
    memset(out, 0, sizeof(*out));
    return -EINVAL;
}

const char *lea_cpuset_format(const struct lea_cpuset *set, char *buf, size_t size)
{
    size_t used = 0;
    int first = lea_cpuset_next(set, 0);

    if (first < 0)
        snprintf(buf, size, "none");
    while (first >= 0) {
        const char *comma = used ? "," : "";
        size_t left = size - used;
        int last = first;
        int n;

        while (lea_cpuset_has(set, (unsigned)last + 1))
            last++;
        if (first == last)
            n = snprintf(buf + used, left, "%s%d", comma, first);
        else
            n = snprintf(buf + used, left, "%s%d-%d", comma, first, last);
        first = lea_cpuset_next(set, (unsigned)last + 1);
        /* what follows must leave room for ",..." */
        if ((size_t)n >= left || (first >= 0 && (size_t)n + 5 > left)) {
            snprintf(buf + used, left, "%s...", comma);
            break;
        }
        used += (size_t)n;
    }
    return buf;
}

/* --- judgement --- */

/* False, and an empty set, when the system does not say. */
static bool read_online(struct lea_cpuset *out, const char *root)
{
    char path[PATH_MAX];
    char text[4096];
    const char *why;
    int n = snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/online", root);

    memset(out, 0, sizeof(*out));
    if (n < 0 || (size_t)n >= sizeof(path) || lea_os_read_file(path, text, sizeof(text)) <= 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return lea_cpuset_parse(out, text, &why) == 0;
}

void lea_cpus_look_for(struct lea_cpus *out, const char *root, const struct lea_cpuset *allowed)
{
    struct lea_cpuset online;
    bool online_known = read_online(&online, root);
    unsigned nr_online = lea_cpuset_count(&online);

    out->allowed = *allowed;
    if (lea_cpuset_next(&out->allowed, 0) < 0)
        out->allowed = online;
    if (lea_cpuset_next(&out->allowed, 0) < 0)
        lea_cpuset_add(&out->allowed, 0);
    out->nr_allowed = lea_cpuset_count(&out->allowed);
    out->quota = lea_cgroup_cpus(root);
    out->nr_usable = out->nr_allowed;
    if (out->quota && out->quota < out->nr_usable)
        out->nr_usable = out->quota;
    /*
     * pinned workers of a throttled group get in each other's way: a quota below the machine is not
     * the whole machine
     */
    out->whole_machine = online_known && lea_cpuset_subset(&online, &out->allowed) &&
                         (out->quota == 0 || out->quota >= nr_online);
}

void lea_cpus_look(struct lea_cpus *out, const char *root)
{
    struct lea_cpuset allowed;

    /* refused by a sandbox, or more CPUs than a set holds: the empty set stands for "unknown" */
    (void)lea_cpuset_get_affinity(&allowed);
    lea_cpus_look_for(out, root, &allowed);
}

unsigned lea_cpus_usable(void)
{
    struct lea_cpus cpus;

    lea_cpus_look(&cpus, "");
    return cpus.nr_usable;
}
