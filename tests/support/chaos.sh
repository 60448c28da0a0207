#!/bin/bash
# A test under LEAT_CHAOS: another seed in each run, which a failure prints; LEAT_CHAOS=n takes that one.
#   chaos.sh TEST ARGUMENT...
set -u
export LEAT_CHAOS=${LEAT_CHAOS:-$((RANDOM * 32768 + RANDOM + 1))}
if out=$("$@" 2>&1); then
    echo "ok: LEAT_CHAOS=$LEAT_CHAOS"
    exit 0
fi
tail -n 100 <<<"$out"
echo "FAILED: LEAT_CHAOS=$LEAT_CHAOS $*"
exit 1
