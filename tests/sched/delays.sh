#!/bin/bash
# The named tests, each with a seed of its own for the delays at named points (runtime/base/delay.h).
#   delays.sh DIRECTORY TEST...        LEA_DELAY_SEED=n takes that seed for all
set -u
directory=$1
failed=0
given=${LEA_DELAY_SEED:-}
shift
for test in "$@"; do
    LEA_DELAY_SEED=${given:-$((RANDOM * 32768 + RANDOM + 1))}
    export LEA_DELAY_SEED
    if out=$("$directory/$test" --jobs 1 --color=never 2>&1); then
        echo "ok: LEA_DELAY_SEED=$LEA_DELAY_SEED $test"
    else
        failed=1
        tail -n 60 <<<"$out"
        echo "FAILED: LEA_DELAY_SEED=$LEA_DELAY_SEED $directory/$test"
    fi
done
exit $failed
