/*
 * The typed forms of channels in C++: between coroutines that are lambdas and functions.
 */
#include <leat/leat.h>

#include <cstdio>
#include <string_view>

struct point {
    int x, y;
};

LEAT_CHAN_TYPE(point_chan, point);
LEAT_CHAN_TYPE(text_chan, std::string_view);
LEAT_CHAN_TYPE(number_chan, long);

static void produce(point_chan out, int n)
{
    for (int i = 0; i < n; i++)
        if (leat_chan_put(out, {i, -i}, LEAT_FOREVER) != 0)
            return;
    leat_chan_close(out.chan);
}

static int main_co(void *)
{
    point_chan points;
    text_chan texts;
    number_chan numbers;
    std::string_view text;
    point p{};
    int seen = 0, mistakes = 0;
    long n = 0;

    if (leat_chan_new(&points, 0) != 0 || leat_chan_new(&texts, 3) != 0 ||
        leat_chan_new(&numbers, 1) != 0)
        return 1;
    if (go(produce, points, 100) != 0)
        return 2;
    for (; leat_chan_get(points, &p, LEAT_FOREVER) == 0; seen++)
        mistakes += p.x != seen || p.y != -seen;
    mistakes += seen != 100;
    if (go([texts, numbers] {
            if (leat_chan_put(texts, "a string", LEAT_FOREVER) == 0) /* converted by the caller */
                return leat_chan_put(numbers, 7, LEAT_FOREVER);
            return -1;
        }) != 0)
        return 3;
    mistakes += leat_chan_get(texts, &text, LEAT_FOREVER) != 0 || text != "a string";
    mistakes += leat_chan_get(numbers, &n, LEAT_FOREVER) != 0 || n != 7;
    mistakes += leat_chan_put_try(numbers, n) != 0 || leat_chan_put_try(numbers, n) != -EAGAIN;
    mistakes +=
        leat_chan_get_try(numbers, nullptr) != 0 || leat_chan_get_try(numbers, &n) != -EAGAIN;
    leat_chan_unref(points.chan);
    leat_chan_unref(texts.chan);
    leat_chan_unref(numbers.chan);
    return mistakes;
}

int main()
{
    int r = leat_run(main_co, nullptr);

    if (r != 0)
        std::printf("failed: %d\n", r);
    return r != 0;
}
