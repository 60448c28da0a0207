/*
 * Where a thread is. See where.h.
 */
#define _GNU_SOURCE
#include "sched/where.h"

#include "base/log.h"
#include "base/os.h"
#include "mem/stack.h"
#include "sched/bracket.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define SIGNAL SIGURG
#define ANSWER_NS INT64_C(20000000) /* it is on a CPU, or was a moment ago */
#define LOOK_NS INT64_C(200000)
#define MAPS_BYTES 4096u

enum { IDLE, ASKED, FILLING, DONE };

static uintptr_t pc_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#else
    return uc->uc_mcontext.pc;
#endif
}

static uintptr_t frame_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RBP];
#else
    return uc->uc_mcontext.regs[29];
#endif
}

static uintptr_t sp_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#else
    return uc->uc_mcontext.sp;
#endif
}

/*
 * Its own stack, of a coroutine that runs. What is read is mapped, whatever it says; sanitizers may
 * call it poisoned.
 */
__attribute__((no_sanitize("address", "thread"))) static unsigned walk(const ucontext_t *uc,
                                                                       struct lea_stack *stack,
                                                                       uintptr_t *at)
{
    uintptr_t low = sp_of(uc), high = (uintptr_t)lea_stack_high(stack), frame = frame_of(uc);
    unsigned n = 0;

    at[n++] = pc_of(uc);
    if (low < (uintptr_t)lea_stack_low(stack) || low >= high)
        return n; /* on another stack: the handler of another signal, say */
    while (n < LEA_WHERE_MAX && frame >= low && frame % sizeof(uintptr_t) == 0 &&
           frame <= high - 2 * sizeof(uintptr_t)) {
        const uintptr_t *f = (const uintptr_t *)frame;

        if (!f[1])
            break;
        at[n++] = f[1];
        low = frame + 2 * sizeof(uintptr_t);
        frame = f[0];
    }
    return n;
}

/* Any thread, any moment. errno is not touched. */
static void on_signal(int signo, siginfo_t *info, void *ucontext)
{
    struct lea_worker *m = lea_self();
    struct lea_where *w;

    (void)signo;
    (void)info;
    if (!m || !m->co)
        return;
    w = &m->rt->monitor.where;
    if (lea_u32_load_acq(&w->state) != ASKED || w->who != m ||
        !lea_u32_cas(&w->state, ASKED, FILLING)) /* WHERE */
        return;
    w->n = m->co->stack ? walk(ucontext, m->co->stack, w->at) : 0;
    lea_u32_store_rel(&w->state, DONE); /* WHERE */
}

void lea_where_begin(struct lea_runtime *rt)
{
    struct lea_where *w = &rt->monitor.where;
    struct sigaction on;

    if (lea_os_sigaction(SIGNAL, NULL, &w->before) < 0 || (w->before.sa_flags & SA_SIGINFO) ||
        (w->before.sa_handler != SIG_DFL && w->before.sa_handler != SIG_IGN))
        return;
    memset(&on, 0, sizeof(on));
    on.sa_sigaction = on_signal;
    on.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&on.sa_mask);
    w->on = lea_os_sigaction(SIGNAL, &on, NULL) == 0;
}

/* The program may have set its own meanwhile. */
static bool still_ours(const struct lea_where *w)
{
    struct sigaction now;

    return w->on && lea_os_sigaction(SIGNAL, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
           now.sa_sigaction == on_signal;
}

void lea_where_end(struct lea_runtime *rt)
{
    struct lea_where *w = &rt->monitor.where;

    if (still_ours(w))
        (void)lea_os_sigaction(SIGNAL, &w->before, NULL);
    w->on = false;
}

/* False: no answer. The state is IDLE then. */
static bool ask(struct lea_where *w, const struct lea_worker *m)
{
    int64_t until = lea_os_now_ns() + ANSWER_NS;

    w->who = m;
    lea_u32_store_rel(&w->state, ASKED); /* WHERE */
    if (lea_os_thread_signal(lea_worker_tid(m), SIGNAL) < 0)
        until = 0;
    while (lea_u32_load_acq(&w->state) != DONE) { /* WHERE */
        int64_t now = lea_os_now_ns();

        if (now >= until && lea_u32_cas(&w->state, ASKED, IDLE))
            return false;
        (void)lea_os_sleep_until(now + LOOK_NS);
    }
    return true;
}

/*
 * --- addresses as text: which file, and where in it. The loader is not asked: it may be the one
 * that computes. ---
 */

struct module {
    uintptr_t low, high, offset;
    char path[96];
};

/* One line of /proc/self/maps. */
static bool parse(const char *line, struct module *out)
{
    char *end;
    const char *name, *slash;
    size_t len;

    out->low = strtoul(line, &end, 16);
    if (*end != '-')
        return false;
    out->high = strtoul(end + 1, &end, 16);
    if (*end != ' ' || strlen(end) < 6)
        return false;
    out->offset = strtoul(end + 6, &end, 16); /* behind the rights */
    name = strchr(end, '/');
    slash = name ? strrchr(name, '/') : NULL;
    name = slash ? slash + 1 : "?";
    len = strnlen(name, sizeof(out->path) - 1);
    memcpy(out->path, name, len);
    out->path[len] = '\0';
    return true;
}

struct names {
    const uintptr_t *at;
    unsigned n;
    struct module in[LEA_WHERE_MAX];
};

static void line_of(struct names *names, char *line)
{
    struct module m;

    if (!parse(line, &m))
        return;
    for (unsigned i = 0; i < names->n; i++)
        if (names->at[i] >= m.low && names->at[i] < m.high)
            names->in[i] = m;
}

static void names_read(struct names *names)
{
    int fd = lea_os_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    char buf[MAPS_BYTES];
    size_t used = 0;

    if (fd < 0)
        return;
    for (;;) {
        ssize_t n = lea_os_read(fd, buf + used, sizeof(buf) - 1 - used);
        char *line = buf, *end;

        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        buf[used] = '\0';
        while ((end = strchr(line, '\n'))) {
            *end = '\0';
            line_of(names, line);
            line = end + 1;
        }
        used -= (size_t)(line - buf);
        memmove(buf, line, used);
        if (used == sizeof(buf) - 1) /* a line without an end */
            break;
    }
    (void)lea_os_close(fd);
}

void lea_where_tell(struct lea_runtime *rt, const struct lea_worker *m)
{
    struct lea_where *w = &rt->monitor.where;
    struct names names;

    if (!still_ours(w) || lea_os_thread_state(lea_worker_tid(m)) != 'R' || !ask(w, m))
        return;
    memset(&names, 0, sizeof(names));
    names.at = w->at;
    names.n = w->n;
    names_read(&names);
    for (unsigned i = 0; i < w->n; i++) {
        const struct module *in = &names.in[i];

        if (in->path[0]) /* a return address names the line behind the call */
            lea_log_warn("  at %#" PRIxPTR ": %s+%#" PRIxPTR, w->at[i], in->path,
                         w->at[i] - (i > 0) - in->low + in->offset);
        else
            break; /* no code: the chain was none */
    }
    lea_u32_store_rel(&w->state, IDLE);
}
