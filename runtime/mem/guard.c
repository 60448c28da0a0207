/*
 * Guards of stacks. Invariants: guard.h.
 *
 * Ordering pairs.
 *  GUARD-MODE  CAS of by_protect in guards_fall_back  ->  acquire in lea_guards_limited:
 *              protectable has been computed.
 */
#include "mem/guard.h"

#include "base/delay.h"
#include "base/log.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define MAPS_DEFAULT 65530u /* the kernel's own default, when it does not say */
#define MAPS_PER_GUARD 2u   /* the guard, and the stack that it cuts off */

static size_t maps_max(void)
{
    char text[32];
    unsigned long n = 0;

    if (lea_os_read_file("/proc/sys/vm/max_map_count", text, sizeof(text)) > 0)
        n = strtoul(text, NULL, 10);
    return n ? n : MAPS_DEFAULT;
}

static size_t maps_now(void)
{
    char buf[1024];
    size_t lines = 0;
    ssize_t n;
    int fd = lea_os_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0)
        return 0;
    while ((n = lea_os_read(fd, buf, sizeof(buf))) > 0 || n == -EINTR) {
        for (ssize_t i = 0; i < n; i++)
            lines += buf[i] == '\n';
    }
    (void)lea_os_close(fd);
    return lines;
}

static void guards_fall_back(struct lea_guards *g)
{
    size_t max = maps_max();
    size_t used = maps_now() + max / 8;

    if (lea_guards_limited(g))
        return;
    /* relaxed: published by GUARD-MODE; a second thread that comes here computes about the same */
    lea_word_store_rlx(&g->protectable, max > used ? (max - used) / MAPS_PER_GUARD : 0);
    lea_delay_point(GUARD_MODE);
    if (lea_u32_cas(&g->by_protect, 0, 1)) /* GUARD-MODE */
        lea_log_info("this kernel refuses guard markers (Linux 6.13 has them): stacks get their "
                     "guards by mprotect, %zu at most",
                     lea_guards_max(g));
}

static bool is_shortage(int r)
{
    return r == -ENOMEM || r == -EAGAIN;
}

static int mark(void *addr, size_t bytes)
{
    int r;

    do {
        r = lea_os_madvise(addr, bytes, MADV_GUARD_INSTALL);
    } while (r == -EINTR);
    return r;
}

int lea_guards_init(struct lea_guards *g)
{
    size_t page = lea_os_page_bytes();
    void *probe;
    bool works;
    int r;

    memset(g, 0, sizeof(*g));
    g->page_bytes = page;
    g->bytes = page > LEA_GUARD_BYTES_MIN ? page : LEA_GUARD_BYTES_MIN;
    probe = lea_os_map(page, PROT_READ | PROT_WRITE);
    if (!probe)
        return -ENOMEM;
    r = mark(probe, page);
    /* emulators say yes to any advice: a guard that is one cannot be read */
    works = r == 0 && lea_os_madvise(probe, page, MADV_POPULATE_READ) == -EFAULT;
    (void)lea_os_unmap(probe, page);
    if (is_shortage(r))
        return -ENOMEM;
    if (!works)
        guards_fall_back(g);
    return 0;
}

int lea_guard_install(struct lea_guards *g, void *addr)
{
    int r;

    if (!lea_guards_limited(g)) {
        r = mark(addr, g->bytes);
        if (r == 0) {
            lea_word_add(&g->nr_marked, 1);
            return 0;
        }
        if (is_shortage(r))
            return -ENOMEM;
        guards_fall_back(g);
    }
    r = lea_os_protect(addr, g->bytes, PROT_NONE);
    if (r < 0)
        lea_guards_tell(g);
    return r < 0 ? -ENOMEM : 0;
}

bool lea_guard_install_many(struct lea_guards *g, void *const *addr, unsigned n)
{
    struct iovec range[LEA_GUARD_BATCH];
    int r;

    /* relaxed: a hint */
    if (n > LEA_GUARD_BATCH || lea_guards_limited(g) || lea_u32_load_rlx(&g->one_by_one))
        return false;
    for (unsigned i = 0; i < n; i++)
        range[i] = (struct iovec){.iov_base = addr[i], .iov_len = g->bytes};
    r = lea_os_madvise_many(range, (int)n, MADV_GUARD_INSTALL);
    if (r == 0)
        lea_word_add(&g->nr_marked, n);
    else if (!is_shortage(r) && r != -EINTR)
        lea_u32_store_rlx(&g->one_by_one, 1); /* relaxed: a hint */
    return r == 0;
}

size_t lea_guards_max(const struct lea_guards *g)
{
    /* relaxed: after GUARD-MODE */
    return lea_word_load_rlx(&g->protectable) + lea_word_load_rlx(&g->nr_marked);
}

void lea_guards_tell(struct lea_guards *g)
{
    if (!lea_u32_cas(&g->told, 0, 1))
        return;
    lea_log_error("no memory maps left for guarded stacks: without guard markers (Linux 6.13) each "
                  "stack needs %u maps, and there may "
                  "be %zu of them; raise the sysctl vm.max_map_count",
                  MAPS_PER_GUARD, maps_max());
}
