/*
 * Select among what coroutines, descriptors and child processes do. What all selects promise:
 * select.c.
 */
#include "support/test.h"

#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void in_coroutines(int (*fn)(void *))
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, fn, NULL), 0));
}

/* --- the end of a coroutine --- */

static leat_result wait_and_return(number_chan c, int64_t turns, leat_result r)
{
    int64_t v;

    kit_let_run(turns);
    return !c.chan || leat_chan_get(c, &v, LEAT_FOREVER) == 0 ? r : -1;
}

/* Goal: whoever ends first is joined, with its result; the others can be joined later. */
static int join_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH_SLOW(200); i++) {
        leat_handle *h[3];
        leat_result result[3] = {-5, -5, -5};
        number_chan never, go_on[3];
        int64_t v;
        int r, first = i % 3;

        if (leat_chan_new(&never, 0) != 0)
            return -1;
        for (int k = 0; k < 3; k++)
            if (leat_chan_new(&go_on[k], 1) != 0 ||
                leat_go_join(&h[k], wait_and_return, go_on[k], (int64_t)(i % 4),
                             (leat_result)(10 + k)) != 0)
                return -2;
        leat_case c[] = {leat_case_join(h[0], &result[0]), leat_case_get(never, &v),
                         leat_case_join(h[1], &result[1]), leat_case_join(NULL, NULL),
                         leat_case_join(h[2], &result[2])};

        if (leat_select_try(c, 5) != -EAGAIN ||
            (i % 8 == 0 && leat_select(c, 5, leat_after(50 * LEAT_USEC)) != -ETIMEDOUT))
            return -3;
        kit_let_run(i % 5);
        if (leat_chan_put_try(go_on[first], 1) != 0)
            return -4;
        kit_let_run(i % 7);
        r = leat_select(c, 5, EACH_LONG);
        if (r != 2 * first || c[r].result != 0 || result[first] != 10 + first)
            return -5;
        for (int k = 0; k < 3; k++)
            if (k != first && (result[k] != -5 || leat_chan_put_try(go_on[k], 1) != 0 ||
                               leat_join(h[k], &result[k], EACH_LONG) != 0 || result[k] != 10 + k))
                return -6;
        for (int k = 0; k < 3; k++)
            leat_chan_unref(go_on[k].chan);
        leat_chan_unref(never.chan);
    }
    return 0;
}

Test(select_outside, the_first_to_end_is_joined, .timeout = 60)
{
    in_coroutines(join_main);
}

/* Goal: ends and values at one instant: nothing is lost, whichever is chosen first. */
static int join_and_receive_main(void *arg)
{
    unsigned seed = 7;

    (void)arg;
    for (int i = 0; i < EACH_SLOW(300); i++) {
        leat_handle *h[2];
        leat_result result[2] = {-5, -5};
        int64_t v = -1;
        int seen = 0;
        number_chan ch;

        if (leat_chan_new(&ch, 0) != 0 ||
            leat_go_join(&h[0], wait_and_return, (number_chan){NULL}, (int64_t)(i % 3),
                         (leat_result)1) != 0 ||
            leat_go_join(&h[1], wait_and_return, ch, (int64_t)(i % 2), (leat_result)2) != 0)
            return -1;
        leat_case c[] = {leat_case_join(h[0], &result[0]), leat_case_put(ch, &v),
                         leat_case_join(h[1], &result[1])};

        while (seen != 7) {
            int r;

            each_jitter(&seed);
            r = leat_select(c, 3, EACH_LONG);
            if (r < 0 || c[r].result != 0 || (seen & 1 << r))
                return -2;
            seen |= 1 << r;
            c[r] = leat_case_none();
        }
        if (result[0] != 1 || result[1] != 2)
            return -3;
        leat_chan_unref(ch.chan);
    }
    return 0;
}

Test(select_outside, ends_and_values_at_once, .timeout = 60)
{
    in_coroutines(join_and_receive_main);
}

/* --- descriptors --- */

static void *write_later(void *arg)
{
    usleep(2000);
    return (void *)(intptr_t)write(*(int *)arg, "x", 1);
}

/*
 * Goal: whichever of two pipes and a channel has something ends the wait; nothing is read by it.
 * @ours: as handed over to leat, or as any other.
 */
static int pipes(bool ours)
{
    int a[2], b[2];
    char byte;
    number_chan ch;
    int64_t v;
    pthread_t thread;

    if (pipe(a) != 0 || pipe(b) != 0 || leat_chan_new(&ch, 1) != 0)
        return 1;
    for (int i = 0; ours && i < 2; i++)
        if (leat_adopt(a[i]) < 0 || leat_adopt(b[i]) < 0)
            return 2;
    leat_case c[] = {leat_case_fd(a[0], LEAT_POLLIN), leat_case_fd(b[0], LEAT_POLLIN),
                     leat_case_get(ch, &v)};

    if (leat_select_try(c, 3) != -EAGAIN ||
        leat_select(c, 3, leat_after(LEAT_MSEC)) != -ETIMEDOUT ||
        leat_select(c, 3, LEAT_AT_ONCE) != -ETIMEDOUT)
        return 3;
    for (int i = 0; i < 6; i++) {
        int which = i % 2, r;

        pthread_create(&thread, NULL, write_later, which ? &b[1] : &a[1]);
        r = leat_select(c, 3, EACH_LONG);
        pthread_join(thread, NULL);
        if (r != which || c[r].result != LEAT_POLLIN ||
            leat_select_try(c, 3) != which || /* it is still there */
            leat_chan_put_try(ch, 9) != 0 || leat_select_ordered(c + 2, 1, EACH_LONG) != 0 ||
            leat_read(which ? b[0] : a[0], &byte, 1, EACH_LONG) != 1 || byte != 'x')
            return 4;
    }
    c[1] = leat_case_fd(b[1], LEAT_POLLOUT);
    if (leat_select(c, 3, EACH_LONG) != 1 || c[1].result != LEAT_POLLOUT)
        return 5;
    for (int i = 0; i < 2; i++)
        if (ours ? leat_close(a[i]) != 0 || leat_close(b[i]) != 0
                 : close(a[i]) != 0 || close(b[i]) != 0)
            return 6;
    leat_chan_unref(ch.chan);
    return 0;
}

static int pipes_main(void *arg)
{
    int r = pipes(true);

    (void)arg;
    return r ? r : pipes(false) * 10;
}

Test(select_outside, a_descriptor_is_ready, .timeout = 60)
{
    in_coroutines(pipes_main);
}

static void close_later(int fd, int turns)
{
    kit_let_run(turns);
    (void)leat_close(fd);
}

static int errors_main(void *arg)
{
    int p[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    (void)arg;
    if (file < 0)
        return 1;
    leat_case bad[] = {leat_case_fd(-1, LEAT_POLLIN), leat_case_fd(file, 0),
                       leat_case_fd(file, LEAT_POLLIN)};
    const int results[] = {-EBADF, -EINVAL, LEAT_POLLIN};

    for (int i = 0; i < 3; i++)
        if (leat_select(&bad[i], 1, EACH_LONG) != 0 || bad[i].result != results[i] ||
            leat_select_try(&bad[i], 1) != 0 || bad[i].result != results[i])
            return 2 + i;
    for (int i = 0; i < EACH_SLOW(100); i++) {
        int r, spare = dup(file); /* below: what the monitor opens meanwhile does not get p[0] */

        if (pipe(p) != 0 || leat_adopt(p[0]) < 0 || close(spare) != 0)
            return 5;
        leat_case c[] = {leat_case_none(), leat_case_fd(p[0], LEAT_POLLIN),
                         leat_case_fd(p[0], LEAT_POLLIN)};

        if (i == 0 &&
            (leat_select(c, 3, EACH_LONG) < 1 || (c[1].result != -EBUSY && c[2].result != -EBUSY)))
            return 6;
        if (go(close_later, p[0], i % 5) != 0)
            return 7;
        r = leat_select(c, 2, EACH_LONG);
        if (r != 1 || (c[1].result != -ECANCELED && c[1].result != -EBADF))
            return 8;
        (void)close(p[1]);
    }
    (void)close(file);
    return 0;
}

Test(select_outside, errors_of_descriptors_are_results, .timeout = 60)
{
    in_coroutines(errors_main);
}

/* --- child processes --- */

static int child_main(void *arg)
{
    const char *const ends[] = {"true", NULL}, *const copies[] = {"cat", NULL};
    leat_process_opts opts = {.in = LEAT_CHILD_PIPE};
    leat_process a, b;
    leat_exit end;

    (void)arg;
    if (leat_process_start(&b, copies, &opts) != 0 || leat_process_start(&a, ends, NULL) != 0)
        return 1;
    leat_case c[] = {leat_case_child(&b), leat_case_child(&a), leat_case_child(NULL)};

    if (leat_select(c, 3, EACH_LONG) != 1 || c[1].result != 0 || leat_select_try(c, 3) != 1 ||
        leat_process_wait(&a, &end, LEAT_AT_ONCE) != 0 || end.code != 0)
        return 2;
    c[1] = leat_case_none();
    if (leat_select(c, 3, leat_after(LEAT_MSEC)) != -ETIMEDOUT || leat_close(b.in) != 0)
        return 3;
    b.in = -1; /* it ends at the end of its input */
    if (leat_select(c, 3, EACH_LONG) != 0 || c[0].result != 0 ||
        leat_process_wait(&b, &end, LEAT_AT_ONCE) != 0 || end.code != 0)
        return 4;
    leat_process_close(&a);
    leat_process_close(&b);
    return leat_select_try(c, 1) == 0 && c[0].result == -EBADF ? 0 : 5;
}

Test(select_outside, a_child_ends, .timeout = 60)
{
    in_coroutines(child_main);
}

/* --- plain threads are refused, at once --- */

static void *refused_thread(void *arg)
{
    leat_case c[] = {leat_case_none(), *(leat_case *)arg};

    return leat_select(c, 2, EACH_LONG) == 1 && c[1].result == -EPERM ? NULL : arg;
}

static int refused_main(void *arg)
{
    leat_handle *h;
    number_chan ch;
    pthread_t thread;
    void *wrong[2];

    (void)arg;
    if (leat_chan_new(&ch, 0) != 0 ||
        leat_go_join(&h, wait_and_return, ch, (int64_t)0, (leat_result)1) != 0)
        return 1;
    leat_case c[] = {leat_case_join(h, NULL), leat_case_fd(0, LEAT_POLLIN)};

    for (int i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, refused_thread, &c[i]);
        pthread_join(thread, &wrong[i]);
    }
    if (leat_chan_put(ch, 1, EACH_LONG) != 0 || leat_join(h, NULL, EACH_LONG) != 0)
        return 2;
    leat_chan_unref(ch.chan);
    return wrong[0] || wrong[1] ? 3 : 0;
}

Test(select_outside, plain_threads_are_refused, .timeout = 60)
{
    in_coroutines(refused_main);
}
