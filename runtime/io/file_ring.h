/*
 * io/file_ring.h - calls on files that the kernel makes by itself.
 */
#ifndef LEA_IO_FILE_RING_H
#define LEA_IO_FILE_RING_H

#include "io/file.h"

/*
 * In a bracket that may park. True: *result is the call's, or -ETIMEDOUT or -ECANCELED, and then
 * nothing has been done. False: nothing has been done, it is for somebody else. A read may be short
 * in the middle of a file.
 */
bool lea_file_by_ring(struct lea_worker **m, const struct lea_file_call *c, int64_t until_ns,
                      ssize_t *result);

#endif
