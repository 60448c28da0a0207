/*
 * Messages on stderr: cold paths only, one write(2) per line, no allocation, errno untouched. Lines
 * begin with "leat: ".
 */
#ifndef LEA_BASE_LOG_H
#define LEA_BASE_LOG_H

enum lea_log_level { LEA_LOG_QUIET, LEA_LOG_WARN, LEA_LOG_INFO };

void lea_log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* always shown */
void lea_log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void lea_log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void lea_log_set_level(enum lea_log_level level);

/* Prints the place, the condition and the message, then aborts. */
void lea_fatal(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), noreturn, cold));

#endif
