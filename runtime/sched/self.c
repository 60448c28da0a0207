/*
 * The thread's own words, and the functions that set them: alone in their file, and never inlined,
 * so that no compiler can keep the address of a thread-local over a switch (lea_self() in
 * bracket.h, which reads the first one). The library has no thread-locals elsewhere, outside
 * checked builds.
 */
#include "sched/self.h"

#include <leat/blocking.h>

_Thread_local struct lea_worker *lea_self_worker;

_Thread_local uintptr_t lea_self_slot;

__attribute__((noinline)) void lea_self_slot_set(uintptr_t offset)
{
    lea_self_slot = offset;
}

_Thread_local struct lea_light_slot *lea_self_light;

__attribute__((noinline)) void lea_self_light_set(struct lea_light_slot *slot)
{
    lea_self_light = slot;
}

__attribute__((noinline)) uintptr_t lea_self_number(void)
{
    uintptr_t at = (uintptr_t)&lea_self_worker;

    __asm__ __volatile__("" : "+r"(at)); /* no constant, which the caller would take for its own */
    return at >> 12;                     /* threads' blocks of thread-locals are pages apart */
}

/* Of a thread of the pool, which never switches stacks. */
static _Thread_local struct lea_blocking_thread *self_blocking;

__attribute__((noinline)) struct lea_blocking_thread *lea_self_blocking(void)
{
    return self_blocking;
}

__attribute__((noinline)) void lea_self_blocking_set(struct lea_blocking_thread *t)
{
    self_blocking = t;
}

__attribute__((noinline)) void lea_self_set(struct lea_worker *m)
{
    lea_self_worker = m;
}

void leat_poll(void)
{
    const struct lea_worker *m = lea_self();

    if (LEA_UNLIKELY(m && ((lea_u32_load_rlx(&m->request) & ~LEA_REQUEST_FENCE) ||
                           (!m->proc && !m->bound)))) /* relaxed: a hint */
        lea_request_poll();
}
