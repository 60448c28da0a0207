/*
 * io/resolve.h - looking names up, for io. Contract: include/leat/resolve.h.
 */
#ifndef LEA_IO_RESOLVE_H
#define LEA_IO_RESOLVE_H

#include "sched/sched.h"

#include <leat/resolve.h>

#define LEA_HOST_BYTES 256 /* of a name, with its end */

/* As leat_resolve(), for host[0..len). Outside a bracket. */
int lea_resolve(const char *host, size_t len, uint16_t port, leat_address *out, int max,
                int64_t until_ns);

#endif
