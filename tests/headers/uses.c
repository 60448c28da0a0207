/*
 * Every macro of the public headers in code of a user, in C and in C++: compiled with more warnings
 * than most projects have. Never run.
 */
#include <leat/leat.h>

#include <errno.h>
#include <signal.h>

struct pair {
    int a;
    double b;
};

LEAT_CHAN_TYPE(pair_chan, struct pair);

int uses_all(leat_group *group, leat_handle **handle, leat_flight *flight, leat_result *result);

static void plain(int n, const char *text)
{
    (void)n;
    (void)text;
}

int uses_all(leat_group *group, leat_handle **handle, leat_flight *flight, leat_result *result)
{
    const leat_attr attr = {"name", 65536, LEAT_PRIO_HIGH, LEAT_AT_ONCE};
    struct pair pair = {1, 2.0};
    pair_chan pairs;
    leat_signal_chan signals;
    leat_notify *notify;
    char buf[8];
    int r = go(plain, 1, "text");
    int64_t spans = LEAT_NSEC + LEAT_USEC + LEAT_MSEC + LEAT_SEC;
    leat_deadline until = LEAT_FOREVER;

    r |= leat_go(plain, 2, "text");
    r |= leat_go_attr(&attr, plain, 2, "text");
    r |= leat_group_go(group, plain, 2, "text");
    r |= leat_group_go_attr(group, &attr, plain, 2, "text");
    r |= leat_go_join(handle, plain, 2, "text");
    r |= leat_go_join_attr(handle, &attr, plain, 2, "text");
    r |= leat_flight_do(flight, "key", 3, result, LEAT_FOREVER, plain, 2, "text");
    r |= leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT));
    r |= leat_chan_new(&signals, 4) | leat_signal_notify(&notify, signals, LEAT_SIG(SIGTERM));
    r |= leat_signal_stop(notify) != 0;
    r |= leat_poll_fd(0, LEAT_POLLIN | LEAT_POLLOUT | LEAT_POLLERR | LEAT_POLLHUP, until);
    r |= leat_read(0, buf, sizeof(buf), LEAT_AT_ONCE) == -EAGAIN;
    r |= leat_sleep_until(leat_at(spans));
    r |= leat_chan_new(&pairs, 4);
    r |= leat_chan_put(pairs, pair, until);
    r |= leat_chan_get(pairs, &pair, until);
    r |= leat_chan_put_try(pairs, pair);
    r |= leat_chan_get_try(pairs, &pair);
    r |= leat_chan_close(pairs.chan) + LEAT_CHAN_ELEM_MAX;
    leat_case cases[] = {leat_case_get(pairs, &pair), leat_case_put(pairs, &pair),
                         leat_case_recv(pairs.chan, buf), leat_case_send(pairs.chan, "text"),
                         leat_case_none()};
    r |= leat_select(cases, 5, until) | leat_select_try(cases, 5);
    r |= leat_select_ordered(cases, 5, until) | leat_select_ordered_try(cases, 5);
    r |= LEAT_PRIO_NORMAL | LEAT_PRIO_LOW;
    r |= LEAT_ARGS_MAX < 1024;
    return r;
}
