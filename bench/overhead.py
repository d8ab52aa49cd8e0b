#!/usr/bin/env python3
"""What the agent costs the machine that it runs on:  bench/overhead.py [LOAD…]

Runs fixed amounts of work with no agent and with one in each mode, as a host has it: default settings,
the whole machine, pushing to an aggregator (which runs here all the time, and writes its store once a
minute). In each round every mode has a turn, in an order by chance, and a turn runs all loads. `again`
is no agent once more: how far it is from 1 is what the machine's own noise makes of nothing.

A ratio is that of one turn to the turn without an agent of the same round; given are the median of all
rounds and the quartiles. The costs of an agent are its own counters, before and after each load, added up.
Mode `each` is offcpu with a threshold of 1 ns, so that no wait is added up in the kernel.

Environment: BENCH_MODES (all of them), BENCH_ROUNDS (7), BENCH_LOAD_SECONDS (1.2: how long each load is to take), BENCH_SEED (1). Prints
JSON lines on standard output, and the table on standard error. Needs root; takes what it needs of
deps/apt/test.txt, and leaves out the loads whose programs are not installed."""

import collections
import contextlib
import dataclasses
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/system"))
import workloads  # noqa: E402
from daemons import BUILD, Agent, Aggregator, metrics_of  # noqa: E402
from waiting import wait_for  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 7))
SECONDS = float(os.environ.get("BENCH_LOAD_SECONDS", 1.2))
SEED = int(os.environ.get("BENCH_SEED", 1))
CPUS = os.cpu_count()
STORM = BUILD / "bench/storm"
POSTGRES = "/usr/lib/postgresql/*/bin/postgres"
NONE = ("none", "again")
MODES = {
    **dict.fromkeys(NONE), "cpu": ["--mode", "cpu"], "offcpu": ["--mode", "offcpu"], "lock": ["--mode", "lock"],
    "syscall": ["--mode", "syscall"], "all": ["--mode", "cpu,offcpu,lock,syscall"],
    "each": ["--mode", "offcpu", "--wait-threshold", "1ns"],
}
MODES = {mode: options for mode, options in MODES.items()
         if mode in NONE or mode in os.environ.get("BENCH_MODES", ",".join(MODES)).split(",")}
ONLY = {"each": {"switch"}}  # of the other loads it says nothing new


def alone(load):
    """The load needs no server."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A load. `serve` starts what it works on; `work` runs so many operations and gives operations a second."""
    unit: str
    first: int  # operations, to find out how many take the time that is wanted
    work: Callable
    serve: Callable = alone
    programs: tuple = ()


def output(load, *args):
    """What a program prints that runs to its end as a part of the load."""
    process = load.start(*args, stdout=subprocess.PIPE, text=True)
    text, _ = process.communicate(timeout=600)
    load.processes.remove(process)
    assert process.returncode == 0, load.text()
    return text


def storm(kind, threads):
    def work(load, n):
        told = json.loads(output(load, STORM, kind, threads, n))
        return told["operations"] / told["seconds"]

    return work


def serve_postgresql(load):
    load.pgbench, load.connect = workloads.postgresql_server(load, 5)


def pgbench(*script):
    clients = 2 * CPUS

    def work(load, n):
        text = output(load, load.pgbench, *script, "-c", clients, "-j", CPUS, "-t", max(n // clients, 1), *load.connect)
        return float(re.search(r"^tps = ([\d.]+)", text, re.M)[1])

    return work


def serve_redis(load):
    load.socket = workloads.redis_server(load)


def redis_benchmark(load, n):
    text = output(load, workloads.need("redis-benchmark"), "-s", load.socket, "-t", "set,get", "-n", n // 2, "--csv")
    speeds = [float(line.split(",")[1].strip('"')) for line in text.splitlines()[1:]]
    return statistics.harmonic_mean(speeds)


KINDS = {
    "switch": Kind("switches", 100000, storm("switch", 4 * CPUS)),
    "lock": Kind("locks", 20000, storm("lock", 4 * CPUS)),
    "free": Kind("locks", 1000000, storm("free", CPUS)),
    "call": Kind("calls", 500000, storm("call", CPUS)),
    "select": Kind("transactions", 2000, pgbench("-S"), serve_postgresql, (POSTGRES,)),
    "tpcb": Kind("transactions", 500, pgbench("-b", "tpcb-like"), serve_postgresql, (POSTGRES,)),
    "redis": Kind("requests", 20000, redis_benchmark, serve_redis, ("redis-benchmark", "redis-check-rdb")),
}


def is_there(program):
    return any(Path("/").glob(program[1:])) if program.startswith("/") else shutil.which(program)


# --- one turn


@dataclasses.dataclass
class Cost:
    """An agent's own counters."""
    cpu_s: float = 0.0
    bpf_s: float = 0.0
    runs: float = 0.0

    @classmethod
    def of(cls, port):
        m = metrics_of(port)
        return cls(*(float(m[name]) for name in
                     ("process_cpu_seconds_total", "aperture_bpf_seconds_total", "aperture_bpf_runs_total")))

    def add(self, before, after):
        for f in dataclasses.fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(after, f.name) - getattr(before, f.name))


@dataclasses.dataclass
class Figures:
    """Of one load in one mode: by round, and in all of them."""
    speeds: list = dataclasses.field(default_factory=list)  # operations a second
    loads: list = dataclasses.field(default_factory=list)  # CPU seconds an operation
    cost: Cost = dataclasses.field(default_factory=Cost)
    seconds: float = 0.0
    operations: int = 0


@contextlib.contextmanager
def agent(mode, folder, server):
    """Runs an agent that has made its first batch, which reads the kernel's symbols, and the tables of what
    runs here; its port for metrics, or none without one."""
    if MODES[mode] is None:
        yield None
        return
    port = workloads.free_port()

    def settled():
        m = metrics_of(port)
        return float(m["aperture_batches_total"]) > 0 and float(m["aperture_unwind_table_queue_length"]) == 0

    a = Agent(folder, server, "--flush-interval", "10s", "--metrics-listen", f"127.0.0.1:{port}", *MODES[mode])
    try:
        a.running()
        wait_for(settled, "the agent's first batch")
        yield port
    finally:
        a.stop()


def measure(kind, load, n, port, figures):
    kind.work(load, n // 5)
    before, cpu, began = port and Cost.of(port), load.cgroup.cpu_seconds(), time.monotonic()
    figures.speeds.append(kind.work(load, n))
    figures.seconds += time.monotonic() - began
    figures.loads.append((load.cgroup.cpu_seconds() - cpu) / n)
    figures.operations += n
    if port:
        figures.cost.add(before, Cost.of(port))


def enough(kind, load):
    """How many operations take SECONDS, on this machine."""
    n = kind.first
    while True:
        speed = kind.work(load, n)
        if n / speed >= SECONDS / 4:
            return int(speed * SECONDS)
        n *= 4


def run(wanted, aggregator, loads, folder):
    """(load, mode) → Figures."""
    chance, found = random.Random(SEED), collections.defaultdict(Figures)
    operations = {name: enough(KINDS[name], loads[name]) for name in wanted}
    for number in range(ROUNDS):
        modes, order = list(MODES), list(wanted)
        chance.shuffle(modes)
        chance.shuffle(order)
        print(f"round {number + 1} of {ROUNDS}: {' '.join(modes)}", file=sys.stderr)
        for mode in modes:
            mine = [name for name in order if name in ONLY.get(mode, wanted)]
            if not mine:
                continue
            with agent(mode, folder / "agent", aggregator.grpc) as port:
                for name in mine:
                    measure(KINDS[name], loads[name], operations[name], port, found[name, mode])
    return found


# --- what is told


def spread(values):
    """The median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": round(middle, 4), "q1": round(low, 4), "q3": round(high, 4)}


def rows(found):
    for (name, mode), f in sorted(found.items(), key=lambda item: (list(KINDS).index(item[0][0]),
                                                                    list(MODES).index(item[0][1]))):
        base = found[name, "none"]
        row = {"bench": "overhead", "load": name, "mode": mode, "rounds": len(f.speeds), "unit": KINDS[name].unit,
               "per_s": round(statistics.median(f.speeds), 1)}
        if mode != "none":
            row["speed_ratio"] = spread([a / b for a, b in zip(f.speeds, base.speeds)])
            row["cpu_ratio"] = spread([a / b for a, b in zip(f.loads, base.loads)])
        if mode not in NONE:
            row |= {
                "bpf_ns_per_run": round(1e9 * f.cost.bpf_s / f.cost.runs, 1) if f.cost.runs else None,
                "bpf_ns_per_operation": round(1e9 * f.cost.bpf_s / f.operations, 1),
                "agent_ns_per_operation": round(1e9 * f.cost.cpu_s / f.operations, 1),
                "bpf_share_of_a_cpu": round(f.cost.bpf_s / f.seconds, 5),
                "agent_share_of_a_cpu": round(f.cost.cpu_s / f.seconds, 5),
                # What the load would be slower by on a machine that it fills.
                "share_of_the_load": round((f.cost.bpf_s + f.cost.cpu_s) / f.operations / statistics.median(base.loads), 5),
            }
        yield row


def table(told):
    def ratio(s):
        return f"{s['median']:.3f} ({s['q1']:.3f}…{s['q3']:.3f})"

    yield (f"{'load':7} {'mode':8} {'per second':>12} {'speed, to none':>22} {'CPU per op, to none':>22} "
           f"{'BPF ns/run':>10} {'ns/op':>7} {'agent ns/op':>11} {'% of a CPU: BPF':>15} {'agent':>6} "
           f"{'% of the load':>13}")
    for r in told:
        line = f"{r['load']:7} {r['mode']:8} {r['per_s']:12,.0f}"
        if "speed_ratio" in r:
            line += f" {ratio(r['speed_ratio']):>22} {ratio(r['cpu_ratio']):>22}"
        if "agent_ns_per_operation" in r:
            line += (f" {r['bpf_ns_per_run'] or 0:10,.0f} {r['bpf_ns_per_operation']:7,.0f} "
                     f"{r['agent_ns_per_operation']:11,.0f} {100 * r['bpf_share_of_a_cpu']:15.2f} "
                     f"{100 * r['agent_share_of_a_cpu']:6.2f} {100 * r['share_of_the_load']:13.2f}")
        yield line


def million(told):
    """What a million switches a second would cost, by what the storm's did. The agent's own part is what it
    uses beside the storm more than beside load `free`, which does not switch."""
    by = {(r["load"], r["mode"]): r for r in told}
    for mode in ("offcpu", "lock", "all", "each"):
        r, idle = by.get(("switch", mode)), by.get(("free", "offcpu" if mode == "each" else mode))
        if r and idle:
            more = r["agent_share_of_a_cpu"] - idle["agent_share_of_a_cpu"]
            yield {"bench": "million_switches", "mode": mode, "cpu_ratio": r["cpu_ratio"],
                   "bpf_share_of_a_cpu": round(r["bpf_ns_per_operation"] / 1e3, 4),
                   "agent_share_of_a_cpu": round(more * 1e6 / r["per_s"], 4)}


def sentence(r):
    return (f"a million switches a second in mode {r['mode']}: {100 * r['agent_share_of_a_cpu']:.2f} % of a CPU more for "
            f"the agent, {100 * r['bpf_share_of_a_cpu']:.1f} % in BPF programs; CPU of the load × "
            f"{r['cpu_ratio']['median']:.3f}")


def machine():
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    return {"bench": "machine", "cpus": CPUS, "model": model[1] if model else platform.machine(),
            "kernel": platform.release(), "rounds": ROUNDS, "seconds": SECONDS, "seed": SEED,
            "load_1m": os.getloadavg()[0]}


def say(row):
    print(json.dumps(row, separators=(",", ":")), flush=True)


def choose(names):
    unknown = set(names) - set(KINDS)
    if unknown:
        sys.exit(f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    for name in names or KINDS:
        absent = [p for p in KINDS[name].programs if not is_there(p)]
        if absent:
            print(f"left out load {name}, for want of {', '.join(absent)} (tools/setup.sh test installs it)",
                  file=sys.stderr)
        else:
            yield name


def main():
    wanted, began = list(choose(sys.argv[1:])), time.monotonic()
    here = machine()
    say(here)
    if here["load_1m"] > 0.5:
        print(f"this machine is not idle (load {here['load_1m']}): the spread will tell", file=sys.stderr)
    serving = {KINDS[name].serve for name in wanted}
    with workloads.started(*serving) as (parent, started):
        servers = {load.name: load for load in started}
        loads = {name: servers[KINDS[name].serve.__name__] for name in wanted}
        aggregator = Aggregator(parent.folder / "aggregator", "--flush-interval", "1m")
        try:
            told = list(rows(run(wanted, aggregator, loads, parent.folder)))
        finally:
            aggregator.stop()
    switches = list(million(told))
    for row in told + switches:
        say(row)
    print(*table(told), *map(sentence, switches), f"took {time.monotonic() - began:.0f} s", sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
