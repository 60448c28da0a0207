// The same from C++: a lambda is a coroutine.
#include <leat/leat.h>

static int run(void *)
{
    leat_waitgroup wg = {};
    int sum = 0;

    leat_wg_add(&wg, 1);
    if (go([&] {
            sum = 55;
            leat_wg_done(&wg);
        }) != 0)
        return -1;
    return leat_wg_wait(&wg, LEAT_FOREVER) == 0 ? sum : -2;
}

int main()
{
    return leat_run(run, nullptr) == 55 ? 0 : 1;
}
