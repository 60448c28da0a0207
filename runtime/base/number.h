/*
 * base/number.h - reading decimal numbers. libc's strtol family skips blanks, takes signs where
 * none belong, and sets errno.
 */
#ifndef LEA_BASE_NUMBER_H
#define LEA_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads the digits at *at and moves *at behind them. False, and nothing moved: no digit there, or
 * the number does not fit.
 */
static inline bool lea_number_scan(const char **at, uint64_t *out)
{
    const char *c = *at;
    uint64_t n = 0;

    if (*c < '0' || *c > '9')
        return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        unsigned digit = (unsigned)(*c - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    *at = c;
    return true;
}

#endif
