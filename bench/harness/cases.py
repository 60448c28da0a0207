"""Who runs what: every workload as cases, each with the systems that take part."""

import atexit
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import process, server

WORKLOADS = ["switch", "yield", "spawn", "fib", "tree", "memory", "timers", "mutex", "rwmutex", "cond", "sem", "once",
             "waitgroup", "cancel", "deadline",
             "chan_sync", "chan_mpmc", "skynet", "select", "select_try",
             "hog", "block", "sleepers", "blockcall", "entry", "offload", "files", "idle", "echo", "http"]
PEERS = ["go", "epoll", "nginx"]
LEAT = "leat"
FILE = Path("/var/tmp/leat-bench-files")


@dataclass
class Case:
    """One measurement: systems name the callables that run it once and return lines of (metric, value, unit)."""

    workload: str
    variant: str
    procs: int
    systems: dict
    rounds: int | None = None  # None: as asked for; set where every round gives the same

    def title(self):
        return " ".join(filter(None, [self.workload, self.variant])) + f" ({self.procs})"


class Maker:
    """Makes the cases of one command line."""

    def __init__(self, args, built):
        self.args = args
        self.built = built
        self.all = len(os.sched_getaffinity(0))

    def procs(self, *defined):
        """The processors to run a workload with, where any number makes sense."""
        return self.args.procs or [n for n in defined if n <= self.all] or [self.all]

    def with_procs(self, procs):
        """Where the number is part of the case: is it wanted?"""
        return self.args.procs is None or procs in self.args.procs

    def systems(self, ours, **peers):
        found = {}
        if not self.args.no_leat and ours:
            found[LEAT] = ours
        found.update((name, peer) for name, peer in peers.items() if name in self.args.peers)
        return found

    def program(self, part, *path):
        folder = getattr(self.built, part, None) if self.built else None
        return folder.joinpath(*path) if folder else "/".join(path)

    def plain(self, workload, *variants, procs):
        """A program of ours, a program of Go's, the same argument."""
        for variant, argument in variants or [("", [])]:
            for n in self.procs(*procs):
                yield Case(workload, variant, n, self.systems(
                    partial(process.figures, [self.program("ours", workload), *argument], n),
                    go=partial(process.figures, [self.program("go", workload), *argument], n)))

    def switch(self):
        program = self.program("ours", "switch")
        yield Case("switch", "", 1, self.systems(partial(process.figures, [program], 1)))
        if shutil.which("valgrind"):
            yield Case("switch", "callgrind", 1, self.systems(partial(process.instructions_per, program, ["lea_ctx_switch"], 2)), rounds=1)

    def yields(self):
        return self.plain("yield", ("2", ["2"]), ("1000", ["1000"]), procs=[1])

    def spawn(self):
        return self.plain("spawn", procs=[1, 2])

    def fib(self):
        return self.plain("fib", procs=[1, 2])

    def tree(self):
        return self.plain("tree", procs=[1, 2])

    def memory(self):
        many = [] if self.args.quick else [("1M", ["1000000"])]
        return self.plain("memory", ("100k", ["100000"]), *many, procs=[1])

    def timers(self):
        return self.plain("timers", procs=[2])

    def mutex(self):
        return self.plain("mutex", ("1", ["1"]), ("100", ["100"]), procs=[1, 2])

    def rwmutex(self):
        return self.plain("rwmutex", ("10000", ["10000"]), ("1000", ["1000"]), ("100", ["100"]), procs=[1, 2])

    def cond(self):
        return self.plain("cond", procs=[1, 2])

    def sem(self):
        return self.plain("sem", ("1", ["1"]), ("100", ["100"]), procs=[1, 2])

    def once(self):
        return self.plain("once", ("1", ["1"]), ("100000", ["100000"]), procs=[1, 2])

    def cancel(self):
        return self.plain("cancel", procs=[1, 2])

    def deadline(self):
        return self.plain("deadline", procs=[1])

    def chan_sync(self):
        return self.plain("chan_sync", procs=[1, 2])

    def chan_mpmc(self):
        return self.plain("chan_mpmc", procs=[1, 2])

    def skynet(self):
        return self.plain("skynet", procs=[1, 2])

    def select(self):
        return self.plain("select", ("2", ["2"]), ("8", ["8"]), procs=[1, 2])

    def select_try(self):
        return self.plain("select_try", procs=[1])

    def hog(self):
        return self.plain("hog", procs=[1, 2])

    def block(self):
        return self.plain("block", ("raw", ["1"]), ("announced", ["2"]), procs=[1, 2])

    def sleepers(self):
        return self.plain("sleepers", procs=[2])

    def blockcall(self):
        return self.plain("blockcall", procs=[1])

    def entry(self):
        program = self.program("ours", "entry")
        yield Case("entry", "", 1, self.systems(partial(process.figures, [program], 1)))
        if shutil.which("valgrind"):
            yield Case("entry", "callgrind", 1,
                       self.systems(partial(process.instructions_per, program, ["entry_pair", "lea_self"], 1)), rounds=1)

    def offload(self):
        return self.plain("offload", procs=[1, 2])

    def files(self):
        atexit.register(FILE.unlink, missing_ok=True)  # the first run makes it, the others use it
        return self.plain("files", ("cached", ["1"]), ("uncached", ["2"]), procs=[1, 2])

    def idle(self):
        for n in self.procs(2):
            yield Case("idle", "", n, self.systems(
                partial(process.idle, self.program("ours", "idle"), n),
                go=partial(process.idle, self.program("go", "idle"), n)))

    def waitgroup(self):
        return self.plain("waitgroup", ("wait", ["2"]), ("count", ["100"]), procs=[1, 2])

    def echo(self):
        load = self.program("tools", "echo_load")
        servers = [self.program("ours", "leat_echo"), self.program("go", "echo"), self.program("tools", "epoll_echo")]
        for connections in (100, 1000):
            if not self.with_procs(1):
                continue
            ours, go, epoll = (partial(server.echo, partial(self.listen, program), load, connections, self.args.quick)
                               for program in servers)
            yield Case("echo", str(connections), 1, self.systems(ours, epoll=epoll, go=go))

    def http(self):
        for variant, procs, pinned in [("pinned", 1, True), ("unpinned", self.all, False)]:
            if not self.with_procs(procs):
                continue
            ours = partial(self.listen, self.program("http_server"), "--listen")
            yield Case("http", variant, procs, self.systems(
                partial(server.http_load, ours, procs, pinned, self.args.quick),
                go=partial(server.http_load, partial(self.listen, self.program("go", "http")), procs, pinned, self.args.quick),
                nginx=partial(server.nginx_load, procs, pinned, self.args.quick)))

    @staticmethod
    def listen(program, *rest):
        """A command line that ends in the address."""
        return [program, *rest]


def make(wanted, args, built):
    maker = Maker(args, built)
    makers = {name: getattr(maker, "yields" if name == "yield" else name) for name in WORKLOADS}
    found = [case for name in WORKLOADS if name in wanted for case in makers[name]()]
    found = [case for case in found if case.systems]
    if not found:
        raise process.Failed("nothing to measure: no system is left for these workloads")
    return found
