"""aperture-agent with a real aggregator, on this machine's real programs."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from conftest import AGENT, Program, environment, wait_for
from daemons import metrics_of

CAPABILITIES = "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog,cap_dac_read_search,cap_checkpoint_restore"
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists(),
                                reason="profiling needs root and a kernel with BTF")


@pytest.fixture
def busy():
    """A process that keeps a CPU busy."""
    p = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    yield p
    p.kill()
    p.wait()


def agents(aggregator):
    return {a["id"]: a for a in aggregator.get("/api/v1/agents")["agents"]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def metric(port, name):
    return float(metrics_of(port)[name])


def samples_of(aggregator, agent):
    return agents(aggregator).get(agent.id, {}).get("samples", 0)


def test_a_machine_shows_within_seconds_and_leaves_in_order(aggregator, start_agent, busy):
    agent = start_agent(aggregator.grpc, "--label", "team=blue").running()
    wait_for(lambda: samples_of(aggregator, agent) > 50, "samples of this machine")
    me = agents(aggregator)[agent.id]
    assert me["state"] == "ok"
    assert me["host"] == os.uname().nodename
    assert me["modes"] == ["cpu"]
    assert me["cost"]["cpu_user_ns"] > 0 and me["cost"]["rss_bytes"] > 0 and me["cost"]["map_bytes"] > 0
    assert agent.stop() == 0
    me = agents(aggregator)[agent.id]
    assert me["state"] == "left"
    tree = aggregator.get("/api/v1/flamegraph?type=cpu:samples&from=now-10m&to=now&filter=%7Bteam%3D%22blue%22%7D")
    assert tree["total"] == me["samples"]


def test_the_ledger_closes_at_every_hop(aggregator, start_agent, busy):
    agent = start_agent(aggregator.grpc).running()
    wait_for(lambda: samples_of(aggregator, agent) > 100, "samples")
    assert agent.stop() == 0
    stages = aggregator.stages(agent)
    for name in ("sample", "reader", "batch"):
        s = stages[name]
        assert s["in"]["count"] == s["out"]["count"] + sum(loss["count"] for loss in s["losses"]), s
    assert stages["reader"]["in"]["count"] == stages["sample"]["out"]["count"] > 0
    assert stages["batch"]["out"]["count"] == agents(aggregator)[agent.id]["samples"]


def test_nothing_is_lost_or_doubled_while_the_aggregator_is_away(start_aggregator, start_agent, busy):
    """Away for long enough that the waits between tries have reached their longest."""
    first = start_aggregator()
    port = first.ports["grpc"]
    metrics = free_port()
    agent = start_agent(first.grpc, "--metrics-listen", f"127.0.0.1:{metrics}").running()
    wait_for(lambda: samples_of(first, agent) > 50, "samples")
    assert first.stop() == 0
    wait_for(lambda: "cannot push" in agent.text(), "the agent to notice")
    wait_for(lambda: metric(metrics, 'aperture_push_total{status="retry"}') >= 5, "several tries")
    kept = metric(metrics, "aperture_queue_batches")
    assert kept >= 5
    second = start_aggregator("aggregator", "--grpc-listen", f"127.0.0.1:{port}")
    # The longest wait is 4 s, and the try after it sees an attempt to connect through.
    wait_for(lambda: metric(metrics, "aperture_queue_batches") <= 1, "the queue to empty", 15)
    assert metric(metrics, "aperture_processes") > 0
    assert metric(metrics, "aperture_processes_evicted_total") == 0
    assert 0 < metric(metrics, "aperture_unwind_tables") <= metric(metrics, "aperture_files")
    assert 0 < metric(metrics, "aperture_unwind_table_bytes") <= metric(
        metrics, "aperture_unwind_table_capacity_bytes")
    assert metric(metrics, "aperture_unwind_table_refusals_total") == 0
    assert metric(metrics, "aperture_process_events_lost_total") == 0
    wait_for(lambda: "pushing again" in agent.text(), "the agent to say so")
    for status in ("refused", "dropped"):
        assert metric(metrics, f'aperture_push_total{{status="{status}"}}') == 0
    assert agent.stop() == 0
    count = second.get("/api/v1/flamegraph?type=cpu:samples&from=now-10m&to=now")["total"]
    stages = second.stages(agent)
    assert count == stages["batch"]["out"]["count"]


def test_a_killed_agent_sends_at_its_next_start_what_it_kept(start_aggregator, start_agent, busy):
    """Both are away: the aggregator stopped, then the agent killed. What the agent had flushed is on disk."""
    first = start_aggregator()
    port, metrics = first.ports["grpc"], free_port()
    agent = start_agent(first.grpc, "--metrics-listen", f"127.0.0.1:{metrics}").running()
    wait_for(lambda: samples_of(first, agent) > 50, "samples")
    assert first.stop() == 0
    wait_for(lambda: metric(metrics, "aperture_queue_batches") >= 4, "batches that wait")
    assert metric(metrics, "aperture_spool_bytes") > 0
    agent.stop(signal.SIGKILL)
    gone = int(time.time() * 1000)
    second = start_aggregator("aggregator", "--grpc-listen", f"127.0.0.1:{port}")
    reported = samples_of(second, agent)
    again = start_agent(second.grpc, "--metrics-listen", f"127.0.0.1:{metrics}").running()
    assert again.id == agent.id
    wait_for(lambda: metric(metrics, "aperture_queue_batches") == 0 and samples_of(second, agent) > reported,
             "what was kept to arrive")
    # Every batch of the first run, each once, up to the last flush before the kill.
    with urllib.request.urlopen(f"{second.url}/api/batches", timeout=30) as answer:
        batches = [b for b in json.load(answer)["batches"] if b["agent_id"] == agent.id and b["to"] <= gone]
    sequences = sorted(b["sequence"] for b in batches if b["epoch"] == 1)
    assert len(sequences) >= 4
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_it_runs_without_root_with_six_capabilities(aggregator, start_agent, busy, tmp_path):
    """The program is copied to where anybody may run it; its state folder belongs to nobody."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not installed")
    with_open_path = Path("/tmp") / f"aperture-agent-test-{os.getpid()}"
    with_open_path.mkdir(mode=0o755)
    try:
        program = shutil.copy(AGENT, with_open_path)
        state = with_open_path / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        caps = ",".join("+" + c.removeprefix("cap_") for c in CAPABILITIES.split(","))
        agent = Program(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--bounding-set=-all,{caps}",
             f"--inh-caps=-all,{caps}", f"--ambient-caps=-all,{caps}", program, "--server", aggregator.grpc,
             "--state-dir", state, "--metrics-listen", "off", "--flush-interval", "500ms"],
            tmp_path / "unprivileged.log", cwd="/")
        try:
            wait_for(lambda: "profiling" in agent.text() or not agent.alive(), "the agent to run")
            assert agent.alive(), agent.text()
            status = Path(f"/proc/{agent.process.pid}/status").read_text()
            assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", status, re.M)
            # CAP_DAC_READ_SEARCH 2, SYS_PTRACE 19, SYSLOG 34, PERFMON 38, BPF 39, CHECKPOINT_RESTORE 40.
            expected = sum(1 << c for c in (2, 19, 34, 38, 39, 40))
            assert int(re.search(r"^CapEff:\s+(\w+)$", status, re.M).group(1), 16) == expected
            assert int(re.search(r"^CapBnd:\s+(\w+)$", status, re.M).group(1), 16) == expected
            wait_for(lambda: any(a["samples"] > 50 for a in agents(aggregator).values()), "samples")
            names = aggregator.get("/api/v1/top?type=cpu:samples&from=now-10m&to=now&limit=1000")["functions"]
            assert any(f["kind"] == 1 and "+0x" not in f["function"] for f in names), "no kernel function is named"
        finally:
            assert agent.stop() == 0
    finally:
        shutil.rmtree(with_open_path)


def test_without_permission_it_says_what_to_grant(tmp_path):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not installed")
    place = Path("/tmp") / f"aperture-agent-test-{os.getpid()}-plain"
    place.mkdir(mode=0o755)
    try:
        program = shutil.copy(AGENT, place)
        state = place / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        r = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all",
             "--inh-caps=-all", program, "--state-dir", state, "--metrics-listen", "off"],
            capture_output=True, text=True, timeout=60, cwd="/", env=environment())
    finally:
        shutil.rmtree(place)
    assert r.returncode == 4
    assert len(r.stderr.strip().splitlines()) == 1
    assert re.search("root|CAP_BPF|cap_bpf", r.stderr)


def test_kill_leaves_nothing_in_the_kernel(start_agent, aggregator):
    def loaded():
        r = subprocess.run(["/usr/sbin/bpftool", "--json", "prog", "show"], capture_output=True, text=True, check=True)
        return {p["id"] for p in json.loads(r.stdout)}

    def held_by(pid):
        """Ids of the programs that a process has open."""
        texts = (f.read_text() for f in Path(f"/proc/{pid}/fdinfo").iterdir())
        return {int(i) for text in texts for i in re.findall(r"^prog_id:\s+(\d+)$", text, re.M)}

    def settings():
        names = ("perf_event_paranoid", "perf_event_max_sample_rate", "perf_event_mlock_kb")
        return [Path("/proc/sys/kernel", n).read_text() for n in names if Path("/proc/sys/kernel", n).exists()]

    before = settings()
    agent = start_agent(aggregator.grpc).running()
    mine = held_by(agent.process.pid)
    assert mine and mine <= loaded()
    agent.stop(signal.SIGKILL)
    wait_for(lambda: not mine & loaded(), "the kernel to free the programs")
    assert settings() == before
    # The next start is the next epoch of the same agent.
    name = agent.id
    again = start_agent(aggregator.grpc).running()
    assert again.id == name
    assert "epoch 2" in again.text()


def test_two_agents_do_not_share_a_state_folder(start_agent, aggregator, tmp_path):
    start_agent(aggregator.grpc).running()
    r = subprocess.run([AGENT, "--state-dir", tmp_path / "agent/state", "--metrics-listen", "off"],
                       capture_output=True, text=True, timeout=60, env=environment())
    assert r.returncode == 1
    assert "another aperture-agent uses the state folder" in r.stderr


@pytest.fixture
def cgroup():
    """A cgroup v2 of a test's own."""
    roots = [m.split()[1] for m in Path("/proc/self/mounts").read_text().splitlines() if m.split()[2] == "cgroup2"]
    if not roots:
        pytest.skip("no cgroup v2 is mounted")
    folder = Path(roots[0], f"aperture-agent-test-{os.getpid()}")
    folder.mkdir()
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text(), "an empty cgroup")
    folder.rmdir()


def thinned(aggregator, agent):
    losses = aggregator.stages(agent).get("sample", {"losses": []})["losses"]
    return sum(loss["count"] for loss in losses if loss["name"] == "thinned")


def test_the_governor_keeps_the_budget_and_the_nanoseconds(aggregator, start_agent, cgroup):
    """A budget that no profiler can keep: samples become rare, and their nanoseconds stay those that
    the kernel accounts for."""
    port = free_port()
    agent = start_agent(aggregator.grpc, "--cpu-budget", "0.01", "--cgroup", cgroup,
                        "--metrics-listen", f"127.0.0.1:{port}").running()
    # Before all ordinary programs: one that shares its CPU would be met by chance.
    busy = subprocess.Popen(["chrt", "-f", "1", "sh", "-c", f"echo $$ >{cgroup}/cgroup.procs; while :; do :; done"])
    try:
        wait_for(lambda: metric(port, "aperture_sampling_frequency_hertz") < 99 / 4, "a lower rate")
        # Samples of the old rate may still be on their way: those that come after the first thinned ones are not.
        wait_for(lambda: thinned(aggregator, agent) > 100, "periods that are left out")
        before = samples_of(aggregator, agent)
        wait_for(lambda: samples_of(aggregator, agent) >= before + 10, "samples at that rate")
    finally:
        busy.kill()
        busy.wait()
    assert metric(port, "aperture_sampling_frequency_changes_total") >= 1
    assert metric(port, "aperture_cpu_budget_ratio") == 0.0001
    assert "--cpu-budget" in agent.text()
    used = {k: int(v) for k, v in map(str.split, (cgroup / "cpu.stat").read_text().splitlines())}["usage_usec"] * 1000
    assert agent.stop() == 0
    me = agents(aggregator)[agent.id]
    assert me["frequency_hz"] == 99 and me["stride"] >= 4
    stages = aggregator.stages(agent)
    assert all(s["balance"] == 0 for name, s in stages.items() if name in ("sample", "reader", "batch")), stages
    total = aggregator.get("/api/v1/flamegraph?type=cpu:nanoseconds&from=now-10m&to=now")["total"]
    # The first and the last sample may stand for time before the program, or miss some of it.
    assert abs(total - used) <= 0.05 * used + 2 * me["stride"] * 1e9 / me["frequency_hz"]


def test_its_own_metrics_are_prometheus_text(aggregator, start_agent, busy):
    port = free_port()
    agent = start_agent(aggregator.grpc, "--metrics-listen", f"127.0.0.1:{port}").running()
    wait_for(lambda: samples_of(aggregator, agent) > 0, "samples")
    metrics = metrics_of(port)
    assert int(metrics['aperture_lost_total{stage="push",reason="queue_full"}']) == 0
    assert int(metrics['aperture_periods_total{stage="push",name="acknowledged"}']) > 0
    assert int(metrics['aperture_push_total{status="ok"}']) > 0
    assert float(metrics["aperture_bpf_seconds_total"]) > 0 and int(metrics["aperture_bpf_runs_total"]) > 0
    assert int(metrics["aperture_connected"]) == 1
    assert 'aperture_stacks_total{reason="ok"}' in metrics


@pytest.mark.parametrize("args, text", [
    (["--frequency", "0"], "frequency"),
    (["--label", "9=x"], "label"),
    (["--flush-interval", "soon"], "flush-interval"),
    (["--nonsense"], "nonsense"),
])
def test_wrong_usage_is_named(args, text):
    r = subprocess.run([AGENT, *args], capture_output=True, text=True, timeout=60, env=environment())
    assert r.returncode == 2
    assert text in r.stderr
    assert len(r.stderr.strip().splitlines()) == 1
