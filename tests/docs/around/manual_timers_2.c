/* The session is kept: nothing expires. */
#include <leat/leat.h>

struct session {
    bool expired;
};

static void expire(struct session *session)
{
    session->expired = true;
}

static bool serve(struct session *session)
{
    return leat_sleep(LEAT_MSEC) == 0 && !session->expired;
}

static int run(void *arg)
{
    struct session *session = arg;

EXAMPLE
    return session->expired ? 1 : 0;
}

int main(void)
{
    struct session session = {false};

    return leat_run(run, &session);
}
