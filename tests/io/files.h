/*
 * io/files.h - what the tests of files share: a directory of the test's own, and a file whose bytes
 * are told from others.
 */
#ifndef LEAT_TESTS_IO_FILES_H
#define LEAT_TESTS_IO_FILES_H

#include "io/kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LONG leat_after(60 * LEAT_SEC)

/* A directory of the test's own, made before and taken away after it. */
static char top[64];
static const char *base = "/tmp";

static inline void make_top(void)
{
    snprintf(top, sizeof(top), "%s/leat-files-XXXXXX", base);
    cr_assert(mkdtemp(top) != NULL);
}

static inline void take_top(void)
{
    cr_expect(eq(int, rmdir(top), 0), "something was left behind in %s", top);
}

static inline const char *in_top(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", top, name);
    return out;
}

/* As much as pages of memory, so that a part of a file can be there and a part not. */
#define PAGES 8
#define PAGE 4096

static inline unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / PAGE);
}

static inline bool bytes_are(const unsigned char *buf, size_t len, size_t from)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != byte_at(from + i))
            return false;
    return true;
}

/* A file of PAGES pages and 10 bytes. */
static inline int filled(const char *path)
{
    static unsigned char all[PAGES * PAGE + 10];
    int fd = leat_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, LONG);

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = byte_at(i);
    if (OK(fd >= 0))
        WANT(leat_pwrite(fd, all, sizeof(all), 0, LONG), sizeof(all));
    return fd;
}

/*
 * What of it is on the disk only is read from there; elsewhere than on a disk it stays in memory,
 * which does no harm.
 */
static inline void forget(int fd, int from_page, int nr_pages)
{
    WANT(leat_fdatasync(fd, LONG), 0);
    OK(posix_fadvise(fd, (off_t)from_page * PAGE, (off_t)nr_pages * PAGE, POSIX_FADV_DONTNEED) ==
       0);
}

#endif
