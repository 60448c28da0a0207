"""From lists of values to figures: median, spread, ratio; as text, as JSON lines, as a Markdown table."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from .cases import LEAT

NO_RATIO = {"sequential", "instructions", "busy"}
RATIO_UNITS = {"ns", "us", "ms", "B", "1/s"}


def short(value):
    """Three or four digits that matter."""
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1000:
        return f"{value:.0f}"
    if size >= 100:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def spread(values):
    if len(values) == 1:
        return short(values[0])
    return f"{short(median(values))} ({short(min(values))}..{short(max(values))})"


def ratios(metric, unit, ours, peer):
    """How many times better ours is, round by round: peer/ours for a cost, ours/peer for a rate. None where it says nothing."""
    if metric in NO_RATIO or unit not in RATIO_UNITS or len(ours) != len(peer):
        return None
    pairs = [(b, a) if unit == "1/s" else (a, b) for a, b in zip(ours, peer)]
    if any(a <= 0 or b <= 0 for a, b in pairs):
        return None
    return [b / a for a, b in pairs]


class Result:
    """One case with what was found: {system: {metric: (unit, values)}}."""

    def __init__(self, case, found):
        self.case = case
        self.found = found

    def metrics(self):
        """In the order in which they were first printed."""
        seen = {}
        for lines in self.found.values():
            for metric, (unit, _) in lines.items():
                seen.setdefault(metric, unit)
        return seen.items()

    def peers(self):
        return [system for system in self.found if system != LEAT]

    def rounds(self):
        return max((len(values) for lines in self.found.values() for _, values in lines.values()), default=0)

    def values(self, system, metric):
        return self.found.get(system, {}).get(metric, (None, []))[1]

    def objects(self):
        for system, lines in self.found.items():
            for metric, (unit, values) in lines.items():
                yield {"workload": self.case.workload, "variant": self.case.variant, "procs": self.case.procs,
                       "system": system, "metric": metric, "unit": unit, "median": median(values),
                       "min": min(values), "max": max(values), "rounds": len(values)}

    def compared(self, metric, unit, peer):
        ours = self.values(LEAT, metric)
        return ratios(metric, unit, ours, self.values(peer, metric)) if ours else None

    def text(self):
        """A table of one case: a column a system, behind each peer how many times better ours is."""
        columns = ["metric", "unit"] + [LEAT] * (LEAT in self.found)
        for peer in self.peers():
            columns += [peer, "leat is better"] if LEAT in self.found else [peer]
        rows = [columns]
        for metric, unit in self.metrics():
            row = [metric, unit]
            for system in ([LEAT] if LEAT in self.found else []) + self.peers():
                values = self.values(system, metric)
                row.append(spread(values) if values else "-")
                if system != LEAT and LEAT in self.found:
                    better = self.compared(metric, unit, system)
                    row.append(f"{spread(better)} x" if better else "-")
            rows.append(row)
        widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
        lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return f"{self.case.title()}, {self.rounds()} rounds: median (min..max)\n" + "\n".join(lines) + "\n"

    def markdown_rows(self):
        case = f"{self.case.title()}"
        for metric, unit in self.metrics():
            ours = self.values(LEAT, metric)
            own = spread(ours) if ours else "-"
            peers = [peer for peer in self.peers() if self.values(peer, metric)]
            if not peers:
                yield f"| {case} | {metric} | {unit} | {own} | | | |"
            for peer in peers:
                better = self.compared(metric, unit, peer)
                yield (f"| {case} | {metric} | {unit} | {own} | {peer} | {spread(self.values(peer, metric))} "
                       f"| {spread(better) + ' ×' if better else ''} |")


class Json:
    """A file of one object a line, written as the cases end; nothing when there is no path."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        if self.file:
            self.file.close()

    def write(self, result):
        if not self.file:
            return
        for each in result.objects():
            self.file.write(json.dumps(each) + "\n")
        self.file.flush()


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ((done.stdout or done.stderr).splitlines() or [None])[0] if done.returncode in (0, 1) else None


def machine():
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = cpu[1] if cpu else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {len(os.sched_getaffinity(0))} CPUs, {memory:.0f} GiB, Linux {platform.release()}"


def versions():
    found = [first_line("cc", "--version"), first_line("go", "version"), first_line("nginx", "-v"), first_line("wrk", "-v")]
    return "; ".join(text.split(" Copyright")[0].strip() for text in found if text)


def revision():
    here = Path(__file__).parent
    text = first_line("git", "-C", str(here), "rev-parse", "--short", "HEAD")
    changed = first_line("git", "-C", str(here), "status", "--porcelain", "--untracked-files=no")
    return (text or "unknown") + (" with changes" if changed else "")


def markdown(path, results, arguments, others):
    rows = [row for result in results for row in result.markdown_rows()]
    rounds = max(result.rounds() for result in results)
    text = "\n".join([
        f"## {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "",
        f"- Command: `bench/run {shlex.join(arguments)}`, up to {rounds} rounds, systems interleaved",
        f"- Revision: {revision()}",
        f"- Machine: {machine()}; {others}",
        f"- Versions: {versions()}",
        "- Figures are median (min..max) over the rounds. The last column says how many times better leat is, from the",
        "  pairs of one round each: peer/leat for times and bytes, leat/peer for rates. Behind the workload: processors.",
        "",
        "| workload | metric | unit | leat | peer | its figure | leat is better |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ])
    if path == "-":
        sys.stdout.write(text)
        return
    target = Path(path)
    old = target.read_text(encoding="utf-8") if target.exists() else ""
    target.write_text(old + ("\n" if old and not old.endswith("\n\n") else "") + text, encoding="utf-8")
