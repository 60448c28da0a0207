/*
 * How long turns are, who has waited for one, and who shares them. See turns.h.
 */
#include "sched/turns.h"

#include "sched/chaos.h"
#include "sched/find.h"
#include "sched/idle.h"

#define TURNS_TELL 1 /* fewer turns tell nothing about their length */
/* turns are not shared for so long, when that has made some sink: the first time, at most */
#define SHARE_PAUSE_NS 2000000
#define SHARE_PAUSE_MAX_NS 256000000

_Static_assert(LEA_IN_ROW_NEW_AGED <= UINT8_MAX, "lea_proc.new_price");

/*
 * By steps, so that a few long turns among many short ones do not count: about the median of the
 * batches.
 */
static void turns_learn(struct lea_proc *p, int64_t per_turn)
{
    uint32_t usual = lea_u32_load_rlx(&p->turn_ns); /* relaxed: ours */

    /* relaxed: a statistic */
    lea_u32_store_rlx(&p->turn_ns, per_turn > usual ? usual + usual / 8 + 1 : usual - usual / 8);
}

void lea_turns_rewind(struct lea_proc *p, int64_t now)
{
    int64_t turns = (int64_t)p->turns_batch - p->turns_left;
    int64_t n = LEA_TURNS_MAX;

    if (p->turn_check_ns && turns >= TURNS_TELL) {
        int64_t per_turn = (now - p->turn_check_ns) / turns;

        if (!p->unwatched) /* else never small: nobody would pay what small work owes */
            turns_learn(p, per_turn);
        if (per_turn > 0)
            n = LEA_TURNS_NS / per_turn;
    }
    if (n > 2 * (int64_t)p->turns_batch + 1) /* one short turn among long ones says little */
        n = 2 * (int64_t)p->turns_batch + 1;
    p->turns_batch = p->turns_left = n < TURNS_TELL               ? TURNS_TELL
                                     : n > (int64_t)LEA_TURNS_MAX ? LEA_TURNS_MAX
                                                                  : (uint32_t)n;
    p->turn_check_ns = now;
}

bool lea_ring_aged(struct lea_runq *q, struct lea_age *age, int64_t now)
{
    if (age->ns && (int32_t)(lea_u32_load_acq(&q->head) - age->tail) < 0)
        return now - age->ns >= LEA_AGE_NS;
    age->tail = lea_u32_load_acq(&q->tail);
    age->ns = now;
    return false;
}

void lea_turns_share(struct lea_proc *p, bool aged, int64_t now)
{
    bool shares = p->new_price == LEA_IN_ROW_NEW_AGED;

    if (shares && p->sank) {
        p->share_pause_ns = p->share_pause_ns ? p->share_pause_ns * 2 : SHARE_PAUSE_NS;
        if (p->share_pause_ns > SHARE_PAUSE_MAX_NS)
            p->share_pause_ns = SHARE_PAUSE_MAX_NS;
        p->share_from_ns = now + p->share_pause_ns;
    } else if (!aged && !lea_inject_len(&p->lifo_over)) {
        p->share_pause_ns = p->share_from_ns = 0;
    }
    p->sank = false;
    aged |= shares && lea_inject_len(&p->over);
    p->new_price =
        aged && now >= p->share_from_ns && !lea_chaos(p->rt) ? LEA_IN_ROW_NEW_AGED : LEA_IN_ROW_NEW;
}
