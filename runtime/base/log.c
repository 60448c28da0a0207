/*
 * Messages on stderr. A line is made in a buffer on the stack and leaves in one write(2), so that
 * lines of several threads do not mix. A coroutine's stack may be small: the buffer is 512 bytes,
 * longer lines are cut.
 */
#include "base/log.h"

#include "base/atomic.h"
#include "base/os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512

/* The one setting that outlives a run: it belongs to the process' stderr. */
static lea_u32 log_level = {LEA_LOG_WARN};

void lea_log_set_level(enum lea_log_level level)
{
    /* relaxed: a setting, nothing is published with it */
    lea_u32_store_rlx(&log_level, (uint32_t)level);
}

static __attribute__((format(printf, 1, 0))) void log_line(const char *fmt, va_list args)
{
    int saved_errno = errno;
    char line[LINE_BYTES] = "leat: ";
    size_t used = strlen(line);
    int n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);

    if (n > 0)
        used += (size_t)n < sizeof(line) - used - 1 ? (size_t)n : sizeof(line) - used - 2;
    line[used++] = '\n';
    (void)lea_os_write(2, line, used);
    errno = saved_errno;
}

void lea_log_error(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(fmt, args);
    va_end(args);
}

void lea_log_warn(const char *fmt, ...)
{
    va_list args;

    if (lea_u32_load_rlx(&log_level) < LEA_LOG_WARN) /* relaxed: a setting */
        return;
    va_start(args, fmt);
    log_line(fmt, args);
    va_end(args);
}

void lea_log_info(const char *fmt, ...)
{
    va_list args;

    if (lea_u32_load_rlx(&log_level) < LEA_LOG_INFO) /* relaxed: a setting */
        return;
    va_start(args, fmt);
    log_line(fmt, args);
    va_end(args);
}

void lea_fatal(const char *file, int line, const char *cond, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(fmt, args);
    va_end(args);
    lea_log_error("fatal: %s:%d: %s", file, line, cond);
    abort();
}
