#include "support/test.h"

#include "mem/heap.h"

#include <pthread.h>
#include <string.h>

/* Goal: bytes of all sizes are aligned, apart, zero when asked for, and come back. */
Test(heap, gives_and_takes, .timeout = 10)
{
    enum { NR = 200 };
    unsigned char *ptr[NR];
    size_t size[NR];

    for (int i = 0; i < NR; i++) {
        size[i] = 1 + (size_t)i * (size_t)i * 7;
        ptr[i] = i & 1 ? lea_heap_alloc(size[i]) : lea_heap_zalloc(size[i]);
        cr_assert(ne(ptr, ptr[i], NULL));
        cr_assert(eq(uptr, (uintptr_t)ptr[i] % 8, 0));
        if (!(i & 1)) {
            cr_expect(eq(int, ptr[i][0], 0));
            cr_expect(eq(int, memcmp(ptr[i], ptr[i] + 1, size[i] - 1), 0), "%zu bytes are not zero",
                      size[i]);
        }
        memset(ptr[i], i, size[i]);
    }
    for (int i = 0; i < NR; i++) {
        cr_expect(eq(int, ptr[i][size[i] - 1], i));
        lea_heap_free(ptr[i], size[i]);
    }
    lea_heap_free(NULL, 10);
}

static void *allocate_much(void *arg)
{
    for (size_t i = 0; i < 20000; i++) {
        size_t bytes = 16 + i % 500;
        char *p = lea_heap_alloc(bytes);

        if (!p)
            return arg;
        memset(p, 1, bytes);
        lea_heap_free(p, bytes);
    }
    return NULL;
}

/* Goal: first use by several threads at once. */
Test(heap, many_threads_at_once, .timeout = 30)
{
    pthread_t thread[4];

    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, pthread_create(&thread[i], NULL, allocate_much, thread), 0));
    for (int i = 0; i < 4; i++) {
        void *failed;

        pthread_join(thread[i], &failed);
        cr_expect(eq(ptr, failed, NULL));
    }
}
