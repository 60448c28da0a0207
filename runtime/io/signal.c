/*
 * Signals as events. A descriptor of leat_signal_open() is an eventfd and a slot of a fixed table;
 * a handler only notes the signal's bit in each slot that wants it and writes the slot's eventfd,
 * so that whoever waits for it becomes readable.
 *
 * The table belongs to the process, as signal handlers do: this is the one static of io/. Slots are
 * filled and emptied under its lock; handlers take no lock, they may interrupt whoever holds it.
 *
 * A handler may run on any thread while a slot is emptied and its eventfd closed. It must not write
 * to a number that is somebody else's by then. Proof: a handler adds itself to `inside`, full
 * fence, reads the slot's fd. The closer clears the slot's fd, full fence, waits until it has read
 * `inside` == 0, and only then lets the number be closed (SIGNAL-CLOSE, law 3). Either the handler
 * reads 0 and leaves the slot alone; or it had read the number, then it was counted before the
 * closer looked, and the closer waits for it. A handler never waits and runs with all signals
 * blocked, so `inside` falls; the closer first gives the signal back to its former handler, so no
 * storm keeps it up. The closer's own thread cannot be inside: it is no handler.
 *
 * A slot belongs to the run whose descriptor it holds. The end of a run closes the table for it,
 * under the lock, after plain threads have let go of the run; a coroutine that was left over in the
 * middle of an opening finds that, and is refused. So there is no slot of a run that is over, and
 * leat_close() outside a run has none to look for. The record is made under the same lock, by a
 * thread that holds the run throughout: the end, which then closes what is left over, knows of
 * every descriptor with a slot.
 *
 * Ordering pairs.
 *  SIGNAL-OPEN   fd release in open  ->  fd acquire in the handler: set and pending are those of
 *                this slot's owner.
 *  SIGNAL-NOTE   bit set, then the write to the eventfd  ->  read of the eventfd, then the bits: no
 *                note is lost. (The write and the read are system calls on one object.)
 *  SIGNAL-CLOSE  handler: inside + 1, fence, reads the slot's fd  |  closer: fd = 0, fence, reads
 *                inside.
 *
 * In a forked child the eventfds are still the parent's: a handler that finds another process id
 * does nothing.
 */
#include "io/signal.h"

#include "base/delay.h"
#include "base/os.h"
#include "io/own.h"
#include "io/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <leat/io.h>
#include <leat/signal.h>
#include <string.h>

#define NR_SLOTS 64
#define NR_SIGNALS 64

/* Keys: (L) under the lock   (c) by CAS, anybody */
struct slot {
    lea_u32 fd;       /* number + 1, 0: empty. Changed under the lock; handlers read it */
    lea_word set;     /* constant while fd is not 0 */
    lea_word pending; /* (c) bits that came and were not taken */
};

static struct {
    struct lea_lock lock;
    lea_u32 inside;  /* handlers under way */
    lea_u32 pid;     /* whose descriptors these are */
    uint64_t closed; /* (L) seed of the last run that has ended: no slot for it */
    struct slot slot[NR_SLOTS];
    uint32_t users[NR_SIGNALS];          /* (L) slots that want it */
    struct sigaction before[NR_SIGNALS]; /* (L) valid while users != 0 */
} root = {.lock = LEA_LOCK_INIT(LEA_RANK_SIGNAL)};

static void note(struct slot *s, uintptr_t bit)
{
    uint32_t fd = lea_u32_load_acq(&s->fd); /* SIGNAL-CLOSE, SIGNAL-OPEN */
    uint64_t one = 1;

    if (!fd || !(lea_word_load_rlx(&s->set) & bit)) /* relaxed: constant while fd is not 0 */
        return;
    lea_word_or(&s->pending, bit); /* SIGNAL-NOTE */
    lea_delay_point(SIGNAL_NOTE);
    (void)lea_os_write((int)fd - 1, &one, sizeof(one));
}

/* Any thread, any moment. errno is not touched: the seam makes its calls itself. */
static void handler(int signo)
{
    (void)lea_u32_add(&root.inside, 1);
    lea_fence_full(); /* SIGNAL-CLOSE */
    lea_delay_point(SIGNAL_CLOSE);
    /* relaxed: written before any handler was set */
    if (lea_u32_load_rlx(&root.pid) == (uint32_t)lea_os_getpid())
        for (int i = 0; i < NR_SLOTS; i++)
            note(&root.slot[i], (uintptr_t)LEAT_SIG(signo));
    (void)lea_u32_add(&root.inside, (uint32_t)-1);
}

/* --- taking signals over, and giving them back --- */

static int signal_take_locked(int signo)
{
    struct sigaction on;

    if (root.users[signo - 1]++ > 0)
        return 0;
    memset(&on, 0, sizeof(on));
    on.sa_handler = handler;
    /* a coroutine's stack may have no room for a signal frame */
    on.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&on.sa_mask);
    return lea_os_sigaction(signo, &on, &root.before[signo - 1]);
}

static void signal_give_locked(int signo)
{
    struct sigaction now;

    if (--root.users[signo - 1] > 0)
        return;
    /* the program may have set its own handler meanwhile: that one stays */
    if (lea_os_sigaction(signo, NULL, &now) == 0 && now.sa_handler == handler)
        (void)lea_os_sigaction(signo, &root.before[signo - 1], NULL);
}

static int set_take_locked(uint64_t set)
{
    for (int signo = 1; signo <= NR_SIGNALS; signo++) {
        if (!(set & LEAT_SIG(signo)) || signal_take_locked(signo) == 0)
            continue;
        root.users[signo - 1]--; /* refused: it was not taken */
        while (--signo > 0)
            if (set & LEAT_SIG(signo))
                signal_give_locked(signo);
        return -EINVAL;
    }
    return 0;
}

/* --- slots --- */

static struct slot *slot_find_locked(int fd)
{
    for (int i = 0; i < NR_SLOTS; i++)
        if (lea_u32_load_rlx(&root.slot[i].fd) == (uint32_t)(fd + 1)) /* relaxed: under the lock */
            return &root.slot[i];
    return NULL;
}

/* Returns what came and was not taken. */
static uint64_t slot_empty_locked(struct slot *s)
{
    uint64_t set = lea_word_load_rlx(&s->set); /* relaxed: under the lock */

    for (int signo = 1; signo <= NR_SIGNALS; signo++)
        if (set & LEAT_SIG(signo))
            signal_give_locked(signo);
    lea_u32_store_rel(&s->fd, 0);
    lea_fence_full(); /* SIGNAL-CLOSE */
    while (lea_u32_load_acq(&root.inside))
        lea_os_thread_yield();
    return lea_word_load_acq(&s->pending);
}

uint64_t lea_signal_closing(struct lea_netpoll *np, int fd)
{
    struct lea_fd *f = lea_fd_get(np, fd);
    uint64_t left = 0;
    struct slot *s;

    if (!f || lea_u32_load_rlx(&f->kind) != LEA_FD_KIND_SIGNAL)
        return 0;
    lea_lock_take(&root.lock);
    s = slot_find_locked(fd);
    if (s)
        left = slot_empty_locked(s);
    lea_lock_drop(&root.lock);
    return left;
}

void lea_signal_close_all(const struct lea_runtime *rt)
{
    lea_lock_take(&root.lock);
    root.closed = rt->seed;
    for (int i = 0; i < NR_SLOTS; i++)
        if (lea_u32_load_rlx(&root.slot[i].fd)) /* relaxed: under the lock */
            (void)slot_empty_locked(&root.slot[i]);
    lea_lock_drop(&root.lock);
}

/* --- the calls --- */

#define REFUSED                                                                                    \
    (LEAT_SIG(SIGKILL) | LEAT_SIG(SIGSTOP) | LEAT_SIG(SIGSEGV) | LEAT_SIG(SIGBUS) |                \
     LEAT_SIG(SIGFPE) | LEAT_SIG(SIGILL))

static int slot_fill_locked(struct slot *s, int fd, uint64_t set)
{
    int r;

    /* relaxed: the system call that sets the handler publishes it */
    lea_u32_store_rlx(&root.pid, (uint32_t)lea_os_getpid());
    lea_word_store_rlx(&s->set, set);
    lea_word_store_rlx(&s->pending, 0);
    /* SIGNAL-OPEN; before the handlers: the first signal counts */
    lea_u32_store_rel(&s->fd, (uint32_t)fd + 1);
    lea_delay_point(SIGNAL_OPEN);
    r = set_take_locked(set);
    if (r < 0) {
        lea_word_store_rlx(&s->set, 0);
        (void)slot_empty_locked(s);
    }
    return r;
}

static int open_locked(struct lea_runtime *rt, int fd, uint64_t set, struct lea_ready_list *list)
{
    struct slot *s = slot_find_locked(-1);
    int r;

    if (root.closed == rt->seed)
        return -ESHUTDOWN;
    if (!s)
        return -EMFILE;
    r = slot_fill_locked(s, fd, set);
    if (r < 0)
        return r;
    r = lea_fd_adopt(&rt->netpoll, fd, LEA_FD_KIND_SIGNAL, LEA_FD_MADE, list);
    if (r < 0)
        (void)slot_empty_locked(s);
    return r;
}

/* With an even tick: it makes system calls under a lock. */
static int open_descriptor(struct lea_runtime *rt, uint64_t set, struct lea_ready_list *list)
{
    int fd = lea_os_eventfd(), r;

    if (fd < 0)
        return fd;
    lea_own_at_end(rt);
    lea_lock_take(&root.lock);
    r = open_locked(rt, fd, set, list);
    lea_lock_drop(&root.lock);
    if (r == 0)
        return fd;
    (void)lea_os_close(fd); /* nobody knows it */
    return r;
}

int leat_signal_open(uint64_t set)
{
    struct lea_ready_list list;
    struct lea_caller c;
    int fd;

    if (!set || (set & REFUSED))
        return -EINVAL;
    fd = lea_caller_begin(&c);
    if (fd < 0)
        return fd;
    lea_ready_list_init(&list);
    if (c.m)
        lea_syscall_begin(c.m);
    fd = open_descriptor(c.rt, set, &list);
    if (c.m)
        lea_syscall_end(c.m);
    lea_ready_list_all(c.rt, c.m, &list);
    lea_caller_end(&c);
    return fd;
}

static ssize_t take_one(int fd)
{
    struct slot *s;
    ssize_t signo = 0;

    lea_lock_take(&root.lock);
    s = slot_find_locked(fd);
    if (s) {
        uintptr_t bits = lea_word_load_acq(&s->pending); /* SIGNAL-NOTE */

        if (bits) {
            signo = __builtin_ctzll(bits) + 1;
            lea_word_and(&s->pending, ~(uintptr_t)LEAT_SIG(signo));
        }
    }
    lea_lock_drop(&root.lock);
    return s ? signo : -ECANCELED;
}

static ssize_t wait_try(struct lea_io *io, void *arg, bool in_place)
{
    (void)arg;
    (void)in_place;
    if (lea_u32_load_rlx(&io->f->kind) != LEA_FD_KIND_SIGNAL) {
        int r = lea_os_fcntl(io->fd, F_GETFD, 0);

        return r < 0 ? r : -EINVAL;
    }
    for (;;) {
        ssize_t signo = take_one(io->fd);
        uint64_t count;
        ssize_t n;

        if (signo != 0)
            return signo;
        n = lea_os_read(io->fd, &count, sizeof(count));
        if (n < 0)
            return n;
    }
}

int leat_signal_wait(int fd, leat_deadline until)
{
    return (int)lea_io_call(fd, LEA_FD_READ, LEA_REASON_SIGNAL, until.ns, wait_try, NULL);
}
