#!/usr/bin/env python3
"""What the aggregator does with many samples and many agents:
bench/server.py ingest|paced|queries|month|agents [STORE…]

ingest   20 M samples of a day, of 50 services with 2,000 stacks each, pushed by 50 agents as fast as they are
         acknowledged (made beforehand, since the load generator shares the CPUs): samples a second until all is
         acknowledged and until all is stored, time to an acknowledgement, memory, bytes on disk a sample (once
         parts are merged, and at once)
paced    samples at a steady rate, of 50 agents: time to an acknowledgement where nobody waits in a queue, and how
         long after the last one all is stored
queries  flame graphs over those: cold (everything started again, the kernel's page cache dropped); then, all names
         known, of ranges that nobody asked for before (first), of one again, of one that moves on by 10 s
         each time, as that of a page which refreshes itself does (moving), and of one up to now, asked for each
         second while the agents go on as they did (live)
month    the same over 30 days, once the sums by hour and day are there
agents   10,000 agents, a connection each, that push every 10 s: time to an acknowledgement, memory, and whether
         each sample was counted once

STORE is embedded or server (Debian's ClickHouse); both by default. Environment: BENCH_SAMPLES (20000000),
BENCH_RATE (of paced, 2000000 samples a second), BENCH_AGENTS (10000), BENCH_AGENT_BATCHES (6), BENCH_QUERY_ROUNDS
(15). Prints JSON lines. Needs root for cold caches."""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/system"))
import clickhouse  # noqa: E402
from daemons import BUILD, Aggregator  # noqa: E402
from waiting import wait_for  # noqa: E402

SAMPLES = int(os.environ.get("BENCH_SAMPLES", 20_000_000))
RATE = int(os.environ.get("BENCH_RATE", 2_000_000))
AGENTS = int(os.environ.get("BENCH_AGENTS", 10_000))
AGENT_BATCHES = int(os.environ.get("BENCH_AGENT_BATCHES", 6))
ROUNDS = int(os.environ.get("BENCH_QUERY_ROUNDS", 15))
SWARM = BUILD / "bench/swarm"
SERVICES, ROWS = 50, 10_000
HOUR_MS = 3_600_000


class Stand:
    """An aggregator on a store of its own, in a temporary folder."""

    def __init__(self, store, folder, *args):
        self.store, self.folder, self.args, self.epoch = store, Path(folder), args, 1
        self.server = clickhouse.ClickHouse(self.folder / "clickhouse").start() if store == "server" else None
        self.aggregator = Aggregator(self.folder / "aggregator", *args,
                                     store=self.server.flags if self.server else ())

    def swarm(self, *args):
        out = subprocess.run([SWARM, "--server", self.aggregator.grpc, *map(str, args)], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        said = json.loads(out)
        del said["bench"]
        return said

    @contextlib.contextmanager
    def pushing(self, seconds):
        """Each agent pushes a batch a second, at the rate that the day's samples have."""
        self.epoch += 1
        program = subprocess.Popen([SWARM, "--server", self.aggregator.grpc, "--agents", str(SERVICES), "--epoch",
                                    str(self.epoch), "--batches", str(seconds), "--interval", "1s", "--rows",
                                    str(max(1, SAMPLES // SERVICES // 86_400))], stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            assert program.wait(600) == 0

    def metric(self, name):
        with urllib.request.urlopen(self.aggregator.url + "/metrics", timeout=600) as answer:
            return next(int(float(line.split()[1])) for line in answer.read().decode().splitlines()
                        if line.startswith(name + " "))

    def stored(self):
        # Not too often: a scrape takes milliseconds of the CPUs that store.
        wait_for(lambda: self.metric("aperture_clickhouse_pending_rows") == 0, "all to be stored", 3600, every=0.1)

    def summed_up(self):
        self.restart_cold()  # sums are made at each start, then once an hour
        for level in ("hourly", "daily"):
            wait_for(lambda: self.metric(f'aperture_rollup_waiting_segments{{level="{level}"}}') == 0, "the sums", 3600)

    def peak_mib(self):
        """The most memory that the aggregator had."""
        status = Path(f"/proc/{self.aggregator.process.pid}/status").read_text()
        return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def cpu_s(self):
        """The CPU time that the aggregator took."""
        fields = Path(f"/proc/{self.aggregator.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def disk_bytes(self):
        """Of the tables."""
        return sum(t["bytes"] for t in self.aggregator.get("/api/v1/store")["tables"])

    def merged_bytes(self):
        """The same when merges have ended: it stays so for a while, in which hardly anything is done."""
        size, cpu_s, since = self.disk_bytes(), self.cpu_s(), time.monotonic()
        while time.monotonic() - since < 3:
            time.sleep(0.5)
            now, used = self.disk_bytes(), self.cpu_s()
            # One merge of all may take ten seconds, of a CPU nearly all.
            rests = now == size and used - cpu_s < 0.25
            size, cpu_s, since = now, used, since if rests else time.monotonic()
        return size

    def restart_cold(self):
        self.aggregator.stop()
        if self.server:
            self.server.kill()
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        if self.server:
            self.server.start()
        self.aggregator = self.aggregator.again(*self.args)

    def stop(self):
        if self.aggregator.alive():
            self.aggregator.stop(seconds=600)
        if self.server:
            self.server.stop()


def report(name, stand, **figures):
    print(json.dumps({"bench": name, "store": stand.store, **figures}), flush=True)


def total(stand, what="from=now-25h&to=now"):
    path = f"/api/v1/flamegraph?type=cpu:samples&max_nodes=100&{what}"
    with urllib.request.urlopen(stand.aggregator.url + path, timeout=600) as answer:
        return json.load(answer)["total"]


def load(stand):
    """Pushes the samples of a day; what the load generator says of it."""
    batches = max(1, SAMPLES // SERVICES // ROWS)
    return stand.swarm("--agents", SERVICES, "--batches", batches, "--rows", ROWS, "--span", "24h", "--prepare")


def ingest(stand):
    swarm = load(stand)
    begin = time.monotonic()
    stand.stored()
    behind = time.monotonic() - begin
    cpu_s, peak_mib, at_once = stand.cpu_s(), stand.peak_mib(), stand.disk_bytes()
    counted = total(stand)
    assert counted == swarm["samples"], (counted, swarm["samples"])
    report("ingest", stand, **{k: swarm[k] for k in ("samples", "samples_per_s", "ack_p50_ms", "ack_p99_ms", "pushed_back")},
           stored_per_s=round(swarm["samples"] / (swarm["seconds"] + behind)), wire_bytes_per_sample=round(
               swarm["bytes"] / swarm["samples"], 2), cpu_s=round(cpu_s, 1), peak_rss_mib=peak_mib,
           peak_rss_after_question_mib=stand.peak_mib(),
           disk_bytes_per_sample_at_once=round(at_once / swarm["samples"], 2),
           disk_bytes_per_sample=round(stand.merged_bytes() / swarm["samples"], 2))


def paced(stand):
    interval_ms = SERVICES * ROWS * 1000 // RATE
    swarm = stand.swarm("--agents", SERVICES, "--batches", max(1, SAMPLES // SERVICES // ROWS), "--rows", ROWS,
                        "--span", "24h", "--interval", f"{interval_ms}ms", "--threads", SERVICES, "--prepare")
    begin = time.monotonic()
    stand.stored()
    behind = round(time.monotonic() - begin, 2)
    assert total(stand) == swarm["samples"]
    report("paced", stand, **swarm, stored_after_s=behind, aggregator_peak_rss_mib=stand.peak_mib())


def ask(connection, path):
    """(milliseconds until all of the answer was there, its bytes)"""
    begin = time.monotonic()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body[:300]
    return (time.monotonic() - begin) * 1e3, len(body)


def ask_flamegraph(stand, services, hours):
    selector = '{service="service-7"}' if services == "one" else "{}"
    to = int(time.time() * 1000)
    begin = to - hours * HOUR_MS
    stand.restart_cold()
    connection = http.client.HTTPConnection(stand.aggregator.url.removeprefix("http://"), timeout=600)

    def times(cut_ms, move_ms, rounds=ROUNDS):
        """Of requests each of which is about a range that begins later by the one and moves on by the other."""
        queries = [urllib.parse.urlencode({"type": "cpu:nanoseconds", "from": begin + i * (cut_ms + move_ms),
                                           "to": to + i * move_ms, "filter": selector}) for i in range(rounds)]
        return [ask(connection, f"/api/v1/flamegraph?{query}") for query in queries]

    def live():
        with stand.pushing(ROUNDS + 2):
            asked = []
            for i in range(ROUNDS + 2):
                time.sleep(1 - time.time() % 1)
                now = int(time.time() * 1000)
                query = {"type": "cpu:nanoseconds", "from": now - hours * HOUR_MS, "to": now, "filter": selector}
                asked.append(ask(connection, f"/api/v1/flamegraph?{urllib.parse.urlencode(query)}"))
            return asked[2:]

    (cold, size), = times(0, 0, 1)
    figures = {"first": times(1000, 0), "again": times(0, 0), "moving": times(0, 10_000), "live": live()}
    report("flamegraph", stand, services=services, hours=hours, cold_ms=round(cold, 1), bytes=size,
           **{f"{name}_ms": round(statistics.median(t for t, _ in asked), 1) for name, asked in figures.items()})
    connection.close()


def queries(stand):
    if total(stand) == 0:
        load(stand)
        stand.stored()
    for services in ("one", "all"):
        for hours in (1, 24):
            ask_flamegraph(stand, services, hours)


def month(stand):
    """Batches of an hour, the longest there are."""
    hours = 30 * 24
    stand.swarm("--agents", SERVICES, "--batches", hours, "--rows", max(1, SAMPLES // SERVICES // hours),
                "--span", f"{hours}h", "--prepare")
    stand.stored()
    stand.summed_up()
    for services in ("one", "all"):
        ask_flamegraph(stand, services, hours)


def agents(stand):
    swarm = stand.swarm("--agents", AGENTS, "--batches", AGENT_BATCHES, "--rows", 200, "--interval", "10s",
                        "--threads", 64)
    stand.stored()
    counted = total(stand, "from=now-1h&to=now")
    assert counted == swarm["samples"], (counted, swarm["samples"])
    report("agents", stand, **swarm, aggregator_peak_rss_mib=stand.peak_mib())


def main():
    parts = {"ingest": ingest, "paced": paced, "queries": queries, "month": month, "agents": agents}
    wanted = [a for a in sys.argv[1:] if a in parts]
    stores = [a for a in sys.argv[1:] if a in ("embedded", "server")] or ["embedded", "server"]
    if not wanted or len(wanted) + len(stores) < len(sys.argv) - 1:
        sys.exit(__doc__)
    for store in stores:
        if store == "server" and not clickhouse.PROGRAM:
            print("left out the server: clickhouse-server is not installed", file=sys.stderr)
            continue
        alone = ("paced", "month")  # their samples are others, or would be the same ones again
        for group in ([p for p in wanted if p not in alone], *([p] for p in wanted if p in alone)):
            if not group:
                continue
            with tempfile.TemporaryDirectory(prefix="aperture-bench-") as folder:
                stand = Stand(store, folder, *(("--retention", "31d") if "month" in group else ()))
                try:
                    for part in group:
                        parts[part](stand)
                finally:
                    stand.stop()


main()
