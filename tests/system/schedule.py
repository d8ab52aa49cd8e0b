"""programs/waits.c, whose threads wait on a schedule, beside what a recording tells of it. The system
tests assert on it, and bench/schedule.py prints it."""

import collections
import dataclasses
import json
import math
import re
import subprocess

import workloads
from completeness import profile_stacks

CPU, OFFCPU, LOCK, WAKER = 1, 2, 3, 5  # enum ap_event
FUNCTIONS = {"holder": "hold_lock", "wanter": "want_lock", "reader": "read_slowly", "napper": "nap_briefly"}
ALL_FUNCTIONS = {**FUNCTIONS, "sleeper": "sleep_well", "keeper": "keep_lock", "asker": "ask_lock", "burner": "burn_cpu",
                 "opener": "fail_to_open", "straight": "take_second", "crossed": "take_first"}
# Where the threads begin. A thread waits before that too, and the process before main().
BEGINNINGS = {"main", "take_turns"}
SHORT = "[short waits]"
# By which the kernel's account of a thread's CPU time and of its waits may overlap at a switch.
SWITCH_NS = 20e3
# Of all threads in a turn.
NAPS, MISSING, NO_FOLDER = 29, 5, 2


def build(folder, name="waits"):
    """The program, without frame pointers."""
    program = folder / name
    subprocess.run(["gcc", "-O2", "-fomit-frame-pointer", "-pthread", "-o", program,
                    workloads.SOURCES / f"{name}.c"], check=True)
    return program


def told(text):
    """Of each thread, by what it printed: how long it lived, its CPU time, how long it was off the CPU in its function,
    and how often it slept."""
    return {line.split()[0]: tuple(map(int, line.split()[1:])) for line in text.splitlines()}


def is_back_from_clone(stack):
    """Behind its system call glibc's clone3() has no unwind information: who made a thread and was preempted
    there is without callers. The new thread begins at the same place, but in the kernel's ret_from_fork."""
    return stack.reason == "no_rule" and not any(f.name.startswith("ret_from_fork") for f in stack.frames)


class Waits:
    """What a json file says of time on and off the CPU, by thread."""

    def __init__(self, path):
        data = json.loads(path.read_bytes())
        self.ns, self.cpu = collections.Counter(), collections.Counter()
        self.count = collections.Counter()
        self.stacks = profile_stacks(path)
        self.period = data["period_ns"]
        values, events = data["samples"]["value"], data["samples"]["event"]
        for stack, value, event in zip(self.stacks, values, events):
            thread, names = stack.labels.get("thread"), {f.name for f in stack.frames}
            functions = names & {*ALL_FUNCTIONS.values(), SHORT, "main"}
            if event == CPU:
                self.cpu[thread] += value
                self.cpu.update({(thread, function): value for function in functions})
            elif event == OFFCPU:
                if names & BEGINNINGS or SHORT in names or is_back_from_clone(stack):
                    self.ns[thread] += value
                for function in functions:
                    self.ns[thread, function] += value
                    self.count[thread, function, stack.labels["state"]] += stack.count

    def slept(self, thread):
        """How many sleeps of a thread have ended."""
        return sum(n for (who, _, state), n in self.count.items() if who == thread and state == "sleeping")

    def switches(self, thread):
        return sum(n for (who, _, _), n in self.count.items() if who == thread)


def locks(path, event):
    """(thread, kind, the other thread, the lock, function names) → ns, of one event and the locks of programs."""
    data = json.loads(path.read_bytes())
    found = collections.Counter()
    for stack, value, e in zip(profile_stacks(path), data["samples"]["value"], data["samples"]["event"]):
        labels = stack.labels
        if e == event and labels.get("domain") != "kernel":
            key = (labels["thread"], labels.get("kind"), labels.get("waker", labels.get("waiter")), labels.get("lock"),
                   frozenset(f.name for f in stack.frames))
            found[key] += value
    return found


def calls_of(summary):
    """{call: (calls, {errno: count})} of the table that `aperture record` prints for people."""
    found = {}
    for line in summary.splitlines():
        row = re.match(r" *<?[\d.]+ % +[\d.,]+ \S+ +([\d,]+) +[\d,]+ .*?  ([a-z_]\w*)(?:  (.*))?$", line)
        if row:
            errors = re.findall(r"(E\w+) (\d+)", row[3] or "")
            found[row[2]] = int(row[1].replace(",", "")), {name: int(n) for name, n in errors}
    return found


@dataclasses.dataclass
class Row:
    """One thing that is known, and what was reported of it."""
    what: str
    true: object  # nanoseconds, a number of times, or a name
    reported: object
    unit: str = ""  # ns; sleeps; or nothing: exactly
    slack: float = 0.0  # ns by which it may be off besides 1 %

    @property
    def off(self):
        """Reported beyond what is true, as a share of that."""
        return (self.reported - self.true) / self.true if self.true else float(self.reported != 0)

    def is_right(self):
        if self.unit == "sleeps":  # the kernel's count has also waits for memory
            return 0.99 * self.true - 2 <= self.reported <= self.true
        if self.unit != "ns":
            return self.true == self.reported
        return abs(self.reported - self.true) <= 0.01 * self.true + self.slack


class Recording:
    """One of `waits TURNS all` in all modes."""

    def __init__(self, program, folder, turns, hz=997):
        self.program, self.turns = program, turns
        self.profile, self.ledger = folder / "schedule.json", folder / "ledger.json"
        done = subprocess.run([workloads.APERTURE, "record", "-F", str(hz), "--mode", "cpu,offcpu,lock,syscall", "-o",
                               self.profile, "--ledger", self.ledger, "--", program, str(turns), "all"],
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        self.told, self.calls = told(done.stdout), calls_of(done.stderr)
        self.waits = Waits(self.profile)

    def rows(self):
        yield from self.waiting()
        yield from self.ending()
        yield from self.burning()
        yield from self.calling()
        yield from self.living()

    def waiting(self):
        w = self.waits
        for thread, what in (("sleeper", "sleeps of 5 ms"), ("reader", "reads of a pipe"), ("holder", "sleeps with a lock"),
                             ("wanter", "waits for a lock"), ("asker", "waits for another lock"),
                             ("straight", "a deadlock, one side"), ("crossed", "a deadlock, other side")):
            function = ALL_FUNCTIONS[thread]
            # Short waits have no stacks: a part of them may have been in the function.
            yield Row(f"{what}: {function}()", self.told[thread][2], w.ns[thread, function], "ns",
                      2e6 + w.ns[thread, SHORT])
        yield Row("sleeps of 0.1 ms", self.told["napper"][2], w.ns["napper", SHORT] + w.ns["napper", "nap_briefly"],
                  "ns", SWITCH_NS * w.switches("napper") + 3e6)
        yield Row("number of sleeps of 5 ms", self.told["sleeper"][3], w.slept("sleeper"), "sleeps")
        yield Row("number of sleeps of 0.1 ms", self.told["napper"][3], w.slept("napper"), "sleeps")

    def ending(self):
        """Who let go of the locks, and in which function."""
        ended = locks(self.profile, WAKER)
        for waiter, waker in (("wanter", "holder"), ("asker", "keeper")):
            mine = {k: ns for k, ns in ended.items() if k[2] == waiter}
            functions = {f for k in mine for f in k[4] & {*ALL_FUNCTIONS.values()}}
            yield Row(f"who kept {waiter} waiting", f"{waker}: {ALL_FUNCTIONS[waker]}()",
                      f"{'/'.join(sorted({k[0] for k in mine}))}: {'/'.join(sorted(functions))}()")

    def burning(self):
        cpu, w = self.told["burner"][1], self.waits
        yield Row("CPU time: burn_cpu()", cpu, w.cpu["burner", "burn_cpu"], "ns", self.chance("burner"))

    def calling(self):
        naps, opens = self.calls["clock_nanosleep"][0], self.calls["openat"][1]
        yield Row("calls of clock_nanosleep", NAPS * self.turns, naps)
        yield Row("calls of openat: ENOENT", MISSING * self.turns, opens.get("ENOENT", 0))
        yield Row("calls of openat: EBADF", NO_FOLDER * self.turns, opens.get("EBADF", 0))

    def living(self):
        """Time on and off the CPU of each thread that ends is the time that it lived."""
        w = self.waits
        for thread, (lived, *_) in self.told.items():
            if thread in ("straight", "crossed"):
                continue
            name = self.program.name if thread == "main" else thread
            yield Row(f"life of {thread}, on and off the CPU", lived, w.ns[name] + w.cpu[name], "ns",
                      SWITCH_NS * w.switches(name) + 3e6 + self.chance(thread))

    def chance(self, thread):
        """Three standard deviations of what sampling makes of a thread's CPU time."""
        periods = self.told[thread][1] / self.waits.period
        return 3 * math.sqrt(periods + 1) * self.waits.period
