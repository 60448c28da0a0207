/*
 * The kernel of the simulator, without descriptors: time, memory, threads, futexes, and calls that
 * only have to say yes. Contracts: runtime/base/os.h.
 */
#include "sim.h"

#include "base/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096u
#define CALL_NS 100

char sim_stderr[8192];
unsigned sim_nr_cpus;

int (*sim_resolve)(const char *host, union lea_os_address *out, int max);

static size_t stderr_used;
static int64_t mapped_bytes, heap_objects;
static uint64_t random_state;

void sim_os_reset(void)
{
    stderr_used = 0;
    sim_stderr[0] = '\0';
    mapped_bytes = heap_objects = 0;
    random_state = sim.config.seed;
    sim_nr_cpus = 2;
    sim_resolve = NULL;
    sim_fd_reset();
}

void sim_os_check_end(void)
{
    for (unsigned i = 1; i < sim.nr_threads; i++)
        sim_check(sim.thread[i].joined || sim.thread[i].detached, "thread %s was never joined",
                  sim.thread[i].name);
    sim_check(sim_fd_open_count() == 0, "%u descriptors are still open at the end",
              sim_fd_open_count());
    sim_check(mapped_bytes == 0, "%lld bytes are still mapped at the end", (long long)mapped_bytes);
    sim_check(heap_objects == 0, "%lld objects of the heap are still there at the end",
              (long long)heap_objects);
}

/* Whatever enters the kernel is a point. */
static void enter(const char *what)
{
    sim_point();
    sim_memory_enter();
    if (sim.tracing)
        sim_trace(SIM_OP_CALL, 0, 0, __builtin_return_address(0), what);
}

/* --- time --- */

int64_t lea_os_now_ns(void)
{
    sim_point();
    sim_advance(25);
    return sim.now_ns;
}

int lea_os_sleep_until(int64_t until_ns)
{
    enter("sleep");
    if (sim_fault(SIM_FAULT_INTR))
        return -EINTR;
    if (until_ns > sim.now_ns)
        (void)sim_block("sleep", 0, until_ns);
    return 0;
}

int64_t lea_os_thread_cpu_ns(void)
{
    return sim.now_ns;
}

/* --- memory --- */

void *lea_os_map(size_t bytes, int prot)
{
    void *p;

    (void)prot;
    enter("mmap");
    if (sim_fault(SIM_FAULT_MEMORY))
        return NULL;
    bytes = (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    p = sim_arena_alloc(bytes, PAGE);
    sim_check(p, "the simulator's arena is too small");
    mapped_bytes += (int64_t)bytes;
    return p;
}

int lea_os_unmap(void *addr, size_t bytes)
{
    if (!addr || !bytes)
        return -EINVAL;
    enter("munmap");
    bytes = (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    sim_arena_free(addr, bytes);
    mapped_bytes -= (int64_t)bytes;
    return 0;
}

int lea_os_madvise(void *addr, size_t bytes, int advice)
{
    enter("madvise");
    switch (advice) {
    case MADV_DONTNEED:
        return madvise(addr, bytes, MADV_DONTNEED) == 0 ? 0 : -EINVAL;
    case 22: /* MADV_POPULATE_READ: the guard that was just installed is one */
        return -EFAULT;
    default:
        return sim_fault(SIM_FAULT_MEMORY) ? -ENOMEM : 0;
    }
}

int lea_os_madvise_many(const struct iovec *ranges, int n, int advice)
{
    enter("process_madvise");
    if (sim_fault(SIM_FAULT_MEMORY))
        return -ENOMEM;
    for (int i = 0; advice == MADV_DONTNEED && i < n; i++)
        (void)madvise(ranges[i].iov_base, ranges[i].iov_len, MADV_DONTNEED);
    return 0;
}

size_t lea_os_page_bytes(void)
{
    return PAGE;
}

int lea_os_protect(void *addr, size_t bytes, int prot)
{
    (void)addr;
    (void)bytes;
    (void)prot;
    enter("mprotect");
    return 0;
}

/* The extended interface of jemalloc, which mem/heap.c looks for: the runtime's heap is here. */
void *mallocx(size_t bytes, int flags);
void sdallocx(void *ptr, size_t bytes, int flags);
int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);

void *mallocx(size_t bytes, int flags)
{
    void *p;

    (void)flags;
    if (sim_fault(SIM_FAULT_MEMORY))
        return NULL;
    p = sim_arena_alloc(bytes + 16, 16);
    sim_check(p, "the simulator's arena is too small");
    heap_objects++;
    return p;
}

void sdallocx(void *ptr, size_t bytes, int flags)
{
    (void)flags;
    sim_touch(ptr, bytes, true, __builtin_return_address(0));
    sim_arena_free(ptr, bytes);
    heap_objects--;
}

int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes)
{
    (void)name;
    (void)old;
    (void)old_bytes;
    (void)new;
    (void)new_bytes;
    return 0;
}

/* --- threads --- */

int lea_os_futex_wait(lea_u32 *word, uint32_t expect, int64_t until_ns)
{
    enter("futex_wait");
    sim_touch(word, 0, false, __builtin_return_address(0));
    if (word->value_ != expect)
        return -EAGAIN;
    if (sim_fault(SIM_FAULT_INTR))
        return -EINTR;
    if (sim_fault(SIM_FAULT_SPURIOUS))
        return 0;
    if (until_ns <= sim.now_ns)
        return -ETIMEDOUT;
    return sim_block("futex_wait", (uintptr_t)word, until_ns);
}

int lea_os_futex_wake(lea_u32 *word, int n)
{
    enter("futex_wake");
    sim_advance(CALL_NS);
    return (int)sim_wake((uintptr_t)word, (unsigned)n, 0);
}

int lea_os_thread_start(pthread_t *out, void *(*fn)(void *), void *arg, size_t stack_bytes, int cpu)
{
    struct sim_thread *t;

    (void)stack_bytes;
    (void)cpu;
    enter("thread_start");
    if (sim.refuse_thread && --sim.refuse_thread == 0)
        return -EAGAIN;
    if (sim_fault(SIM_FAULT_THREAD))
        return -EAGAIN;
    t = sim_thread_new(fn, arg);
    if (!t)
        return -EAGAIN;
    sim_touch(out, sizeof(*out), true, __builtin_return_address(0));
    *out = (pthread_t)(t->id + 1);
    return 0;
}

void lea_os_thread_guard(void (*fn)(void *arg), void (*died)(void *arg), void *arg)
{
    (void)died; /* nothing here ends a thread from inside */
    fn(arg);
}

void lea_os_thread_join(pthread_t thread)
{
    struct sim_thread *t = &sim.thread[thread - 1];

    enter("thread_join");
    sim_check(!t->joined && !t->detached, "thread %s is joined twice", t->name);
    while (t->state != SIM_ENDED)
        (void)sim_block("thread_join", (uintptr_t)t, SIM_FOREVER);
    t->joined = true;
    sim_hb_receive(&t->hb);
    sim.self->load_from = sim.steps;
}

void lea_os_thread_detach(pthread_t thread)
{
    struct sim_thread *t = &sim.thread[thread - 1];

    enter("thread_detach");
    sim_check(!t->joined && !t->detached, "thread %s is joined already, and detached", t->name);
    t->detached = true;
}

void lea_os_thread_name(const char *name)
{
    snprintf(sim.self->name, sizeof(sim.self->name), "%s", name);
}

void lea_os_thread_yield(void)
{
    sim_yield();
}

int lea_os_gettid(void)
{
    return (int)sim.self->id + 1;
}

int lea_os_nr_threads(void)
{
    int n = 0;

    enter("stat");
    for (unsigned i = 0; i < sim.nr_threads; i++)
        n += sim.thread[i].state != SIM_ENDED;
    return n;
}

int lea_os_nr_threads_ours(void) /* there are no others here */
{
    return lea_os_nr_threads();
}

int lea_os_getpid(void)
{
    return 1;
}

int lea_os_is_privileged(void)
{
    return 0;
}

int lea_os_affinity_get(void *mask, size_t bytes)
{
    memset(mask, 0, bytes);
    *(uint64_t *)mask = (UINT64_C(1) << sim_nr_cpus) - 1;
    return 8;
}

int lea_os_affinity_set(int tid, const void *mask, size_t bytes)
{
    (void)tid;
    (void)mask;
    (void)bytes;
    return 0;
}

int lea_os_nice_set(int tid, int nice)
{
    (void)tid;
    (void)nice;
    return 0;
}

void lea_os_timers_precise(void)
{
}

void lea_os_slice_set(int tid, int64_t ns)
{
    (void)tid;
    (void)ns;
}

/* Steps take time on a CPU, and so do computations (kit_burn). */
int64_t lea_os_thread_cpu_of(int tid)
{
    const struct sim_thread *t = &sim.thread[tid - 1];

    enter("thread_cpu");
    if (sim.no_cpu_clock)
        return -EINVAL;
    return t->cpu_ns + (t->state == SIM_BLOCKED && t->computes ? sim.now_ns - t->blocked_ns : 0);
}

int lea_os_thread_signal(int tid, int signo)
{
    (void)tid;
    (void)signo;
    return -ENOSYS;
}

void (*sim_thread_ended)(void *arg);

void lea_os_at_thread_end(void (*ended)(void *arg))
{
    sim_thread_ended = ended;
}

int lea_os_thread_end_ask(void *arg)
{
    sim.self->at_end = arg;
    return 0;
}

void lea_os_at_fork(void (*child)(void))
{
    (void)child;
}

char lea_os_thread_state(int tid)
{
    const struct sim_thread *t = &sim.thread[tid - 1];

    enter("thread_state");
    return t->state == SIM_ENDED ? 0 : t->state == SIM_BLOCKED && !t->computes ? 'S' : 'R';
}

int lea_os_membarrier_register(void)
{
    return sim.config.membarrier ? 0 : -ENOSYS;
}

int lea_os_membarrier(void)
{
    enter("membarrier");
    if (!sim.config.membarrier)
        return -ENOSYS;
    sim_membarrier();
    return 0;
}

/* --- signals: none arrive --- */

int lea_os_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how;
    (void)set;
    if (old)
        sigemptyset(old);
    return 0;
}

int lea_os_sigaltstack(const stack_t *stack, stack_t *old)
{
    (void)stack;
    if (old)
        memset(old, 0, sizeof(*old));
    return 0;
}

int lea_os_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    (void)signo;
    (void)action;
    if (old)
        memset(old, 0, sizeof(*old));
    return 0;
}

void lea_os_sigpipe_take(void)
{
}

/* --- the rest --- */

uint64_t lea_os_random(void)
{
    return random_state += UINT64_C(0x9e3779b97f4a7c15);
}

void lea_os_exit(int status)
{
    sim_fail("the runtime ends the process with status %d", status);
}

int lea_os_open(const char *path, int flags, int mode)
{
    (void)path;
    (void)flags;
    (void)mode;
    return -ENOENT;
}

ssize_t lea_os_read_file(const char *path, char *buf, size_t size)
{
    (void)path;
    (void)buf;
    (void)size;
    return -ENOENT;
}

int lea_os_unlink(const char *path)
{
    (void)path;
    return -ENOENT;
}

int lea_os_lstat(const char *path, struct stat *st)
{
    (void)path;
    (void)st;
    return -ENOENT;
}

void sim_stderr_add(const void *buf, size_t len);

void sim_stderr_add(const void *buf, size_t len)
{
    size_t room = sizeof(sim_stderr) - 1 - stderr_used;

    len = len < room ? len : room;
    memcpy(sim_stderr + stderr_used, buf, len);
    stderr_used += len;
    sim_stderr[stderr_used] = '\0';
}

/* --- names: those of the scenario --- */

int lea_os_resolve(const char *host, union lea_os_address *out, int max)
{
    enter("getaddrinfo");
    return sim_resolve ? sim_resolve(host, out, max) : -ENOENT;
}

/* --- processes: there are none --- */

int lea_os_child_start(const struct lea_os_child *child)
{
    (void)child;
    return -ENOSYS;
}

void lea_os_child_abandon(int pid)
{
    (void)pid;
}

int lea_os_pidfd_open(int pid)
{
    (void)pid;
    return -ENOSYS;
}

int lea_os_pidfd_signal(int pidfd, int signo)
{
    (void)pidfd;
    (void)signo;
    return -ENOSYS;
}

int lea_os_pidfd_signal_group(int pidfd, int pid, int signo)
{
    (void)pid;
    return lea_os_pidfd_signal(pidfd, signo);
}

int lea_os_pidfd_end(int pidfd, struct lea_os_exit *out)
{
    (void)pidfd;
    (void)out;
    return -ENOSYS;
}
