/* See kit.h. */
#define _GNU_SOURCE
#include "io/kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;
static char note[256];

bool kit_want_in(const char *file, int line, const char *text, long actual, long low, long high)
{
    bool ok = actual >= low && actual <= high;

    if (ok)
        return true;
    pthread_mutex_lock(&note_lock);
    if (!note[0] && low == high)
        snprintf(note, sizeof(note), "%s:%d: %s is %ld, not %ld", file, line, text, actual, low);
    else if (!note[0])
        snprintf(note, sizeof(note), "%s:%d: %s is %ld, not within %ld..%ld", file, line, text,
                 actual, low, high);
    pthread_mutex_unlock(&note_lock);
    return false;
}

bool kit_want(const char *file, int line, const char *text, long actual, long expected)
{
    return kit_want_in(file, line, text, actual, expected, expected);
}

void kit_run_config(const leat_config *config, int (*body)(void *), void *arg)
{
    int r;

    note[0] = '\0';
    r = leat_run_with(config, body, arg);
    cr_assert(eq(int, note[0], 0), "with %u processors: %s", config->procs, note);
    cr_assert(eq(int, r, 0));
}

void kit_run(unsigned procs, int (*body)(void *), void *arg)
{
    /* the grace ends with the last coroutine, however long a busy machine takes for that */
    leat_config config = {.procs = procs, .pin = "off", .shutdown_grace_ms = 20000};

    kit_run_config(&config, body, arg);
}

void kit_run_all(int (*body)(void *))
{
    kit_run(1, body, NULL);
    kit_run(2, body, NULL);
    kit_run(4, body, NULL);
}

long kit_join(leat_handle *handle)
{
    leat_result result = -1;

    OK(leat_join(handle, &result, leat_after(120 * LEAT_SEC)) == 0);
    return (long)result;
}

int kit_listen(char address[32], const leat_listen_opts *opts)
{
    int fd = leat_tcp_listen("127.0.0.1:0", opts);

    if (OK(fd >= 0))
        snprintf(address, 32, "127.0.0.1:%d", leat_port(fd));
    return fd;
}

bool kit_tcp_pair(int out[2])
{
    char address[32];
    int listener = kit_listen(address, NULL);

    out[0] = leat_tcp_dial(address, leat_after(20 * LEAT_SEC));
    out[1] = leat_accept(listener, NULL, NULL, leat_after(20 * LEAT_SEC));
    leat_close(listener);
    return OK(out[0] >= 0) && OK(out[1] >= 0);
}

int kit_read_byte(int fd)
{
    char c = 0;
    ssize_t n = leat_read(fd, &c, 1, leat_after(60 * LEAT_SEC));

    return n == 1 ? c : n < 0 ? (int)n : 1000;
}

int64_t kit_ms_since(int64_t start_ns)
{
    return (leat_now() - start_ns) / MS;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the directory's own */
}

/*
 * The monitor opens a file of /proc for some microseconds when it asks for the state of a thread. It
 * may be one more, and its number one that was just given back.
 */
enum { LOOKS = 5, LOOK_GAP_NS = 2000000 };

int kit_nr_fds(void)
{
    struct timespec gap = {.tv_nsec = LOOK_GAP_NS};
    int least = count_fds();

    for (int i = 1; i < LOOKS; i++) {
        int n;

        nanosleep(&gap, NULL);
        n = count_fds();
        least = n < least ? n : least;
    }
    return least;
}

int kit_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool kit_is_closed(int fd)
{
    struct timespec gap = {.tv_nsec = LOOK_GAP_NS};

    for (int i = 0; fcntl(fd, F_GETFD) != -1; i++) {
        if (i == 100 * LOOKS)
            return false;
        nanosleep(&gap, NULL);
    }
    return true;
}

uint64_t kit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void kit_dawdle(uint64_t *state, unsigned max_us)
{
    uint64_t r = kit_random(state);
    int64_t span = (int64_t)(r >> 8) % (max_us * LEAT_USEC + 1), end;

    switch (r & 3) {
    case 0:
        leat_yield();
        break;
    case 1:
        leat_sleep(span);
        break;
    case 2:
        for (end = leat_now() + span; leat_now() < end;)
            ;
        break;
    default:
        break;
    }
}

bool kit_refuse(long nr, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
