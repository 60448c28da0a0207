"""How much of the machine somebody else used meanwhile: a figure taken beside a busy neighbour is worth little."""

import os
import resource
from pathlib import Path


def _own_s():
    """CPU time of this process and of all children that have ended."""
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def _machine_s():
    """(all time, time in processes, stolen time) of all CPUs. Interrupts are left out: a server under load causes most of them."""
    fields = [int(field) / os.sysconf("SC_CLK_TCK") for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _, _, _, _, steal = fields
    return sum(fields), user + nice + system, steal


class Neighbours:
    """Watches from its making on."""

    def __init__(self):
        self.begun = (_own_s(), *_machine_s())

    def text(self):
        own, total, busy, steal = (now - then for now, then in zip((_own_s(), *_machine_s()), self.begun))
        if total <= 0:
            return "other processes: unknown"
        return f"other processes used {max(0.0, busy - own) / total:.1%} of the CPUs meanwhile, the hypervisor {steal / total:.1%}"
