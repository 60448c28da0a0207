/*
 * A library with static thread-local storage, as many have: loaded by libraries.c in the middle of
 * a run.
 */
int leat_test_next(int step);

static _Thread_local __attribute__((tls_model("initial-exec"))) int count = 41;
static _Thread_local __attribute__((tls_model("initial-exec"))) char room[128];

int leat_test_next(int step)
{
    room[count % 128] = (char)step;
    return ++count;
}
