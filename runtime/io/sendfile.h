/*
 * io/sendfile.h - the system call of leat_sendfile().
 */
#ifndef LEA_IO_SENDFILE_H
#define LEA_IO_SENDFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * To a non-blocking descriptor. Any thread that blocks SIGPIPE: none is left pending. Bytes; 0 the
 * file ends there; -EAGAIN, -EINTR, …
 */
ssize_t lea_send_once(int to, int file, int64_t offset, size_t bytes);

#endif
