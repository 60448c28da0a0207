/*
 * Helpers of the memory tests.
 */
#define _GNU_SOURCE
#include "watch.h"

#include "support/test.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#define GUARD_INSTALL 102

size_t watch_maps(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    size_t lines = 0;
    int c;

    if (!f)
        return 0;
    while ((c = getc(f)) != EOF)
        lines += c == '\n';
    fclose(f);
    return lines;
}

size_t watch_resident(const void *addr, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t n = bytes / page;
    unsigned char *vec = malloc(n);
    size_t resident = 0;

    if (!vec || mincore((void *)addr, bytes, vec) != 0)
        cr_fatal("mincore: errno %d", errno);
    for (size_t i = 0; i < n; i++)
        resident += vec[i] & 1;
    free(vec);
    return resident * page;
}

bool watch_has_flag(const void *addr, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long from, to;
    bool inside = false, found = false;

    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)addr >= from && (uintptr_t)addr < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line + 8, flag) != NULL;
    }
    if (f)
        fclose(f);
    return found;
}

static sigjmp_buf fault_jump;

static void on_fault(int signo)
{
    siglongjmp(fault_jump, signo);
}

bool watch_faults(volatile char *addr)
{
    struct sigaction act = {.sa_handler = on_fault}, old_segv, old_bus;
    bool faulted = true;

    sigaction(SIGSEGV, &act, &old_segv);
    sigaction(SIGBUS, &act, &old_bus);
    if (sigsetjmp(fault_jump, 1) == 0) {
        *addr = 1;
        faulted = false;
    }
    sigaction(SIGSEGV, &old_segv, NULL);
    sigaction(SIGBUS, &old_bus, NULL);
    return faulted;
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQ(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))

void watch_refuse_markers(int error)
{
    /*
     * the advice is the third argument of madvise, the fourth of process_madvise; both are
     * little-endian 32-bit words
     */
    struct sock_filter code[] = {
        LOAD(arch),
        IF_EQ(ARCH, 0, 7),
        LOAD(nr),
        IF_EQ(SYS_madvise, 0, 2),
        LOAD(args[2]),
        IF_EQ(GUARD_INSTALL, 4, 3),
        IF_EQ(SYS_process_madvise, 0, 2),
        LOAD(args[3]),
        IF_EQ(GUARD_INSTALL, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
    };
    struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
        cr_skip_test("no seccomp filters here");
}
