/*
 * leat_sendfile(). The kernel reads what is not in memory inside the call that writes to the
 * socket. So a part that is there is sent in place, as any write; one that is not is sent by
 * whoever makes calls on files. Both end early when the socket takes no more.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "io/sendfile.h"

#include "base/os.h"
#include "io/file.h"
#include "io/wait.h"

#include <fcntl.h>
#include <leat/file.h>
#include <sys/stat.h>

#define PART_BYTES ((size_t)256 << 10)

struct sending {
    int file;
    int64_t at;
    size_t bytes;
};

ssize_t lea_send_once(int to, int file, int64_t offset, size_t bytes)
{
    ssize_t n = lea_os_sendfile(to, file, &offset, bytes);

    if (n == -EPIPE)
        lea_os_sigpipe_take();
    return n;
}

static ssize_t send_try(struct lea_io *io, void *arg, bool in_place)
{
    struct sending *s = arg;

    (void)in_place;
    return lea_send_once(io->fd, s->file, s->at, s->bytes);
}

static bool byte_in_memory(int file, int64_t offset)
{
    char byte;
    struct iovec one = {&byte, 1};

    return lea_os_preadv2(file, &one, 1, offset, RWF_NOWAIT) >= 0;
}

/*
 * A guess: pages come and go, and where they cannot be counted both ends stand for what is between
 * them.
 */
static bool in_memory(const struct sending *s)
{
    int64_t page = (int64_t)lea_os_page_bytes(), end = s->at + (int64_t)s->bytes;
    ssize_t there = lea_os_pages_in_memory(s->file, s->at, (int64_t)s->bytes);

    if (there >= 0)
        return there >= (end + page - 1) / page - s->at / page;
    return byte_in_memory(s->file, s->at) && byte_in_memory(s->file, end - 1);
}

/* One part. Bytes; 0 the file ends; or why nothing of it was sent. */
static ssize_t send_part(struct lea_io *io, struct sending *s, int64_t until_ns)
{
    struct lea_file_call c = {.op = LEA_FILE_SEND,
                              .fd = s->file,
                              .flags = io->fd,
                              .offset = s->at,
                              .bytes = (int64_t)s->bytes};
    bool there;
    ssize_t n;

    lea_syscall_begin(io->m);
    there = in_memory(s);
    lea_syscall_end(io->m);
    if (there)
        return lea_io_loop(io, LEA_FD_WRITE, LEA_REASON_WRITE, until_ns, send_try, s);
    n = lea_file_elsewhere(&io->m, &c, until_ns);
    if (n != -EAGAIN)
        return n;
    n = lea_io_wait(io, LEA_FD_WRITE, LEA_REASON_WRITE, until_ns);
    return n < 0 ? n : -EAGAIN;
}

static ssize_t send_all(struct lea_io *io, struct sending *s, size_t len, int64_t until_ns)
{
    size_t done = 0;
    ssize_t n = 0;

    while (done < len) {
        s->bytes = len - done < PART_BYTES ? len - done : PART_BYTES;
        n = send_part(io, s, until_ns);
        if (n == 0 || (n < 0 && n != -EAGAIN))
            break;
        if (n > 0) {
            done += (size_t)n;
            s->at += n;
        }
        n = done < len ? lea_io_again(io) : 0;
        if (n < 0)
            break;
    }
    return done > 0 ? (ssize_t)done : n;
}

/* What is behind the end is not in memory, and need not be looked for on the disk. */
static size_t bytes_there(const struct sending *s, size_t len)
{
    struct stat st;

    if (lea_os_fstat(s->file, &st) < 0 || !S_ISREG(st.st_mode))
        return len;
    if (s->at >= st.st_size)
        return 0;
    return len < (size_t)(st.st_size - s->at) ? len : (size_t)(st.st_size - s->at);
}

/* The file's number is not given away under us either: it has a user more. */
static ssize_t send_held(struct lea_io *io, struct sending *s, size_t len, int64_t until_ns)
{
    struct lea_io file = {.m = io->m};
    ssize_t n = lea_io_hold(&file, s->file, LEA_FD_USE_POLL);

    if (n < 0)
        return n;
    n = send_all(io, s, bytes_there(s, len), until_ns);
    file.m = io->m;
    lea_io_drop(&file);
    return n;
}

ssize_t leat_sendfile(int to, int file, off_t offset, size_t len, leat_deadline until)
{
    struct sending s = {.file = file, .at = offset};
    struct lea_io io;
    ssize_t n;

    if (offset < 0)
        return -EINVAL;
    n = lea_io_begin(&io, to, LEA_FD_USE_WR);
    if (n < 0)
        return n;
    n = lea_io_is_non_blocking(&io);
    if (n == 0)
        n = send_held(&io, &s, len, until.ns);
    lea_io_end(&io);
    return n;
}
