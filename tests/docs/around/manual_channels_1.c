#include <leat/leat.h>

EXAMPLE

static int main_co(void *arg)
{
    (void)arg;
    return sum_of_numbers() == 55 ? 0 : 1;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
