/*
 * The overflow report. See overflow.h. The handler runs on the alternate stack and uses
 * async-signal-safe calls only (the log line is formatted by vsnprintf with integers and strings,
 * which takes no lock in the C libraries that we run on).
 */
#include "sched/overflow.h"

#include "base/log.h"
#include "base/os.h"
#include "co/report.h"
#include "sched/chaos.h"
#include "sched/sched.h"

#include <string.h>
#include <sys/mman.h>

#define ALTSTACK_BYTES ((size_t)64 << 10)

/* Whoever handled the signal before the run gets it. */
static void hand_on(const struct lea_runtime *rt, int signo, siginfo_t *info, void *ucontext)
{
    static const struct sigaction none = {.sa_handler = SIG_DFL};
    const struct sigaction *old = !rt                ? &none
                                  : signo == SIGSEGV ? &rt->before_segv
                                                     : &rt->before_bus;

    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(signo, info, ucontext);
    } else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
        struct sigaction dfl = {.sa_handler = SIG_DFL};

        /* the instruction faults again, now with the default action */
        lea_os_sigaction(signo, &dfl, NULL);
    } else {
        old->sa_handler(signo);
    }
}

static void on_fault(int signo, siginfo_t *info, void *ucontext)
{
    struct lea_worker *m = lea_self();
    struct lea_stack *stack;

    if (m && lea_stack_is_guard(&m->rt->stacks, info->si_addr, &stack)) {
        const struct lea_co *g = m->co;
        struct sigaction dfl = {.sa_handler = SIG_DFL};
        struct lea_co_look look;
        char who[LEA_CO_WHO_BYTES];

        if (g && lea_co_look(g, &look))
            lea_log_error("stack overflow in %s: it has %zu bytes of stack, guard included; ask "
                          "for more with %s or LEAT_STACK",
                          lea_co_who(who, sizeof(who), &look), lea_stack_slot_bytes(stack),
                          look.main ? "leat_config.stack_bytes" : "leat_attr.stack_bytes");
        else
            lea_log_error("stack overflow into the guard of a stack of %zu bytes",
                          lea_stack_slot_bytes(stack));
        lea_chaos_note(m->rt);
        lea_os_sigaction(signo, &dfl, NULL);
        return;
    }
    lea_chaos_note(m ? m->rt : NULL);
    hand_on(m ? m->rt : lea_rt(), signo, info, ucontext);
}

void lea_overflow_begin(struct lea_runtime *rt)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = on_fault;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&sa.sa_mask);
    lea_os_sigaction(SIGSEGV, &sa, &rt->before_segv);
    lea_os_sigaction(SIGBUS, &sa, &rt->before_bus);
}

void lea_overflow_end(struct lea_runtime *rt)
{
    lea_os_sigaction(SIGSEGV, &rt->before_segv, NULL);
    lea_os_sigaction(SIGBUS, &rt->before_bus, NULL);
}

void lea_overflow_thread_begin(struct lea_worker *m)
{
    stack_t ss = {.ss_size = ALTSTACK_BYTES};

    m->altstack = lea_os_map(ALTSTACK_BYTES, PROT_READ | PROT_WRITE);
    ss.ss_sp = m->altstack;
    if (!m->altstack || lea_os_sigaltstack(&ss, &m->altstack_before) < 0)
        lea_log_warn(
            "worker %u has no alternate signal stack: a stack overflow will not be reported",
            m->id);
}

void lea_overflow_thread_end(struct lea_worker *m)
{
    if (!m->altstack)
        return;
    lea_os_sigaltstack(&m->altstack_before, NULL);
    (void)lea_os_unmap(m->altstack, ALTSTACK_BYTES);
    m->altstack = NULL;
}
