"""Builds what the measurement needs: ours by the release preset, the peers' programs, the load generator."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .process import Failed

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "build" / "bench"
TOOLS = ROOT / "build" / "bench-tools"
GO = ROOT / "build" / "bench-go"


@dataclass(frozen=True)
class Built:
    """Where the programs are. A missing part is None."""

    ours: Path | None
    http_server: Path | None
    tools: Path | None
    go: Path | None


def run(*command, cwd=ROOT, env=None):
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}")


def need(tool, package):
    if shutil.which(tool) is None:
        raise Failed(f"{tool} is missing (Debian package {package})")


def build_ours(wanted):
    targets = ["leat_bench"] + (["http_server"] if "http" in wanted else [])
    run("cmake", "--preset", "release", "-B", OURS, "-DLEAT_BENCH=ON", "-DLEAT_EXAMPLES=ON", "-DLEAT_TESTS=OFF")
    run("cmake", "--build", OURS, "--target", *targets)
    return OURS / "bench", OURS / "examples" / "http_server"


def build_tools():
    """The load generator and the bare epoll server know nothing of leat: they build alone, and without it."""
    run("cmake", "-S", ROOT / "bench", "-B", TOOLS, "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", TOOLS)
    return TOOLS


def build_go():
    need("go", "golang-go")
    GO.mkdir(parents=True, exist_ok=True)
    run("go", "build", "-buildvcs=false", "-trimpath", "-o", GO, "./...", cwd=ROOT / "bench" / "peers" / "go")
    return GO


def build(wanted, leat, peers):
    need("cmake", "cmake")
    if "http" in wanted:
        need("wrk", "wrk")
    if "http" in wanted and "nginx" in peers:
        need("nginx", "nginx-light")
    ours, http_server = build_ours(wanted) if leat else (None, None)
    tools = build_tools() if "echo" in wanted else None
    go = build_go() if "go" in peers else None
    return Built(ours, http_server, tools, go)
