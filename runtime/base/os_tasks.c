/*
 * The seam to the Linux kernel, for what /proc tells of the threads of this process. See os.h.
 */
#define _GNU_SOURCE
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TASKS "/proc/self/task"
/* the flag of a thread that the kernel has made for io_uring, in the ninth word of its stat */
#define FLAGS_WORD 9
#define IO_WORKER 0x10ul

int lea_os_nr_threads(void)
{
    struct stat st;
    int r = lea_os_lstat(TASKS, &st);

    /* the directory counts itself and ".", then one for each */
    return r < 0 ? r : (int)st.st_nlink - 2;
}

/*
 * The words of a thread's stat from the third one on, its state. NULL: not known. text: room for
 * them.
 */
static const char *stat_of(const char *tid, char *text, size_t size)
{
    char path[sizeof(TASKS) + sizeof("//stat") + NAME_MAX];
    const char *end;
    int fd;
    ssize_t n;

    snprintf(path, sizeof(path), TASKS "/%s/stat", tid);
    fd = lea_os_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    n = lea_os_read(fd, text, size - 1);
    lea_os_close(fd);
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    end = strrchr(text, ')'); /* behind the name, which may hold anything */
    return end && end[1] == ' ' ? end + 2 : NULL;
}

char lea_os_thread_state(int tid)
{
    char number[16], text[128];
    const char *s;

    snprintf(number, sizeof(number), "%d", tid);
    s = stat_of(number, text, sizeof(text));
    return s ? s[0] : '\0';
}

/* 1, 0; negative: it has just ended, say. */
static int is_io_worker(const char *tid)
{
    char text[256];
    const char *s = stat_of(tid, text, sizeof(text));

    for (int word = 3; s && word < FLAGS_WORD; word++) {
        s = strchr(s, ' ');
        s = s ? s + 1 : NULL;
    }
    return s ? (strtoul(s, NULL, 10) & IO_WORKER) != 0 : -ESRCH;
}

int lea_os_nr_threads_ours(void)
{
    _Alignas(struct dirent64) char buf[4096];
    int all = lea_os_nr_threads(), seen = 0, ours = 0, r = 0;
    int fd = lea_os_open(TASKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? fd : 1;

    while (r >= 0 && n > 0) {
        n = lea_os_getdents(fd, buf, sizeof(buf));
        for (ssize_t at = 0; r >= 0 && at < n;) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + at);

            at += d->d_reclen;
            if (d->d_name[0] == '.')
                continue;
            r = is_io_worker(d->d_name);
            seen++;
            ours += r == 0;
        }
    }
    if (fd >= 0)
        lea_os_close(fd);
    if (r < 0 || n < 0)
        return r < 0 ? r : (int)n;
    /* the kernel's list is read in parts, and may end early when one of them ends */
    return seen == all && lea_os_nr_threads() == all ? ours : -EAGAIN;
}
