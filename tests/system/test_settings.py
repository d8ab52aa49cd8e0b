"""Modes and rates that an aggregator changes for a time: the way from REST and the command line to a real agent and
back, and the agent's return to its own."""

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import BUILD, environment, wait_for
from test_agent import agents, busy, free_port, metric, pytestmark  # noqa: F401

APERTURE = BUILD / "src/cli/aperture"


def ask(aggregator, method, path, body=None):
    """Status and JSON."""
    request = urllib.request.Request(aggregator.url + path, method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def cli(aggregator, *args):
    return subprocess.run([APERTURE, "agents", *args, "--server", aggregator.url], capture_output=True, text=True,
                          timeout=120, env=environment())


def settings_of(aggregator, agent):
    return f"/api/v1/agents/{agent.id}/settings"


def known(aggregator, agent):
    wait_for(lambda: agents(aggregator).get(agent.id, {}).get("settings", {}).get("control", "none") != "none",
             "the agent's first batch")
    return agents(aggregator)[agent.id]


def total(aggregator, type):
    return aggregator.get(f"/api/v1/flamegraph?type={type}&from=now-10m&to=now")["total"]


def test_an_agent_follows_for_the_time_and_returns_by_itself(aggregator, start_agent, busy):  # noqa: F811
    port = free_port()
    agent = start_agent(aggregator.grpc, "--pid", busy.pid, "--metrics-listen", f"127.0.0.1:{port}").running()
    me = known(aggregator, agent)
    assert me["settings"] == {"control": "on", "max_frequency_hz": 1000, "max_duration_s": 3600,
                              "active_until": None, "wanted": None, "error": ""}
    assert (me["modes"], me["frequency_hz"], me["wait_threshold_ns"]) == (["cpu"], 99, 1000000)
    asked = time.time()
    r = cli(aggregator, "set", me["host"], "--mode", "cpu,offcpu,lock,syscall", "--rate", "999",
            "--wait-threshold", "100us", "--for", "8s")
    assert r.returncode == 0, r.stderr
    assert re.search(r"cpu,offcpu,lock,syscall +999 Hz +100 us .* for [1-8] s more", r.stdout), r.stdout
    me = agents(aggregator)[agent.id]
    assert (me["modes"], me["frequency_hz"], me["wait_threshold_ns"]) == (
        ["cpu", "offcpu", "lock", "syscall"], 999, 100000)
    assert me["settings"]["wanted"]["heard"]
    assert asked + 6 <= me["settings"]["active_until"] / 1000 <= asked + 16
    assert metric(port, "aperture_remote_settings_active") == 1
    wait_for(lambda: metric(port, "aperture_remote_settings_active") == 0, "the agent's own settings")
    assert time.time() >= asked + 8
    wait_for(lambda: agents(aggregator)[agent.id]["frequency_hz"] == 99, "the agent to say so")
    me = agents(aggregator)[agent.id]
    assert (me["modes"], me["wait_threshold_ns"]) == (["cpu"], 1000000)
    assert me["settings"]["active_until"] is None and me["settings"]["wanted"] is None
    assert agent.stop() == 0
    for name, s in aggregator.stages(agent).items():
        assert s["balance"] == 0, s
    assert "settings from the aggregator are in force" in agent.text()
    assert "the agent's own settings are in force" in agent.text()


def test_it_returns_though_the_aggregator_is_gone(start_aggregator, start_agent, busy):  # noqa: F811
    """And what it sampled meanwhile arrives once there is one again, each period with the value of its rate."""
    first = start_aggregator()
    port = free_port()
    grpc = first.ports["grpc"]
    agent = start_agent(first.grpc, "--pid", busy.pid, "--metrics-listen", f"127.0.0.1:{port}").running()
    me = known(first, agent)
    r = cli(first, "set", me["host"], "--rate", "1000", "--for", "3s")
    assert r.returncode == 0, r.stderr
    assert metric(port, "aperture_sampling_frequency_hertz") == 1000
    first.stop(signal.SIGKILL)
    wait_for(lambda: metric(port, "aperture_sampling_frequency_hertz") == 99, "the agent's own rate")
    assert metric(port, "aperture_remote_settings_active") == 0
    second = start_aggregator("aggregator", "--grpc-listen", f"127.0.0.1:{grpc}")
    wait_for(lambda: metric(port, "aperture_queue_batches") <= 1, "the queue to empty")
    assert agent.stop() == 0
    me = agents(second)[agent.id]
    assert me["frequency_hz"] == 99 and me["settings"]["active_until"] is None
    assert all(s["balance"] == 0 for name, s in second.stages(agent).items() if name in ("sample", "reader", "batch"))


def test_one_that_starts_again_within_the_time_follows_for_what_remains(aggregator, start_agent, busy):  # noqa: F811
    agent = start_agent(aggregator.grpc, "--pid", busy.pid).running()
    known(aggregator, agent)
    status, me = ask(aggregator, "POST", settings_of(aggregator, agent), {"duration_s": 300, "frequency_hz": 500})
    assert status == 200 and me["settings"]["wanted"]["frequency_hz"] == 500 and not me["settings"]["wanted"]["heard"]
    until = me["settings"]["wanted"]["until"]
    agent.stop(signal.SIGKILL)
    again = start_agent(aggregator.grpc, "--pid", busy.pid).running()
    assert again.id == agent.id
    wait_for(lambda: agents(aggregator)[agent.id]["frequency_hz"] == 500, "the settings to be followed")
    active = agents(aggregator)[agent.id]["settings"]["active_until"]
    assert abs(active - until) < 3000
    r = cli(aggregator, "reset", agent.id, "--format", "json")
    assert r.returncode == 0, r.stderr
    me = json.loads(r.stdout)
    assert me["frequency_hz"] == 99 and me["settings"]["active_until"] is None
    assert again.stop() == 0


def test_no_sample_is_lost_or_told_twice(aggregator, start_agent):
    """A program with a CPU of its own, while modes and rates change: its CPU time is what the kernel says."""
    port = free_port()
    work = subprocess.Popen(["chrt", "-f", "1", "sh", "-c", "read x; while :; do :; done"], stdin=subprocess.PIPE)
    agent = start_agent(aggregator.grpc, "--pid", work.pid, "--cpu-budget", "0",
                        "--metrics-listen", f"127.0.0.1:{port}").running()
    known(aggregator, agent)

    def ticks():
        with open(f"/proc/{work.pid}/schedstat") as f:
            return int(f.read().split()[0])

    try:
        before = ticks()
        work.stdin.write(b"go\n")
        work.stdin.flush()
        for i, (modes, rate) in enumerate([(["cpu", "syscall"], 997), (["cpu", "offcpu", "lock"], 250),
                                           (["cpu"], 1000), (["cpu", "offcpu", "lock", "syscall"], 99)]):
            from_ns = ticks()
            ask(aggregator, "POST", settings_of(aggregator, agent),
                {"duration_s": 600, "frequency_hz": rate, "modes": modes})
            wait_for(lambda: agents(aggregator)[agent.id]["frequency_hz"] == rate, "the rate")
            assert agents(aggregator)[agent.id]["modes"] == modes
            wait_for(lambda: ticks() > from_ns + 10**9, "a second of work")
    finally:
        work.kill()
        used = None
        with open(f"/proc/{work.pid}/schedstat") as f:
            used = int(f.read().split()[0]) - before
        work.wait()
    assert agent.stop() == 0
    s = aggregator.stages(agent)
    assert all(x["balance"] == 0 for x in s.values()), s
    late = next(loss["count"] for loss in s["sample"]["losses"] if loss["name"] == "not_run")
    nanoseconds = total(aggregator, "cpu:nanoseconds")
    assert used * 0.98 - late * 1e7 <= nanoseconds <= used * 1.02, (used, nanoseconds, late)


def test_refusals_say_what_to_do(aggregator, start_agent, busy):  # noqa: F811
    agent = start_agent(aggregator.grpc, "--pid", busy.pid, "--remote-max-frequency", "400", "--remote-max-time",
                        "10m").running()
    known(aggregator, agent)
    path = settings_of(aggregator, agent)
    for body, status, field, text in [
            ({"frequency_hz": 200}, 400, None, "duration_s"),
            ({"duration_s": 0, "frequency_hz": 200}, 400, "duration_s", "1 to"),
            ({"duration_s": 60}, 400, None, "nothing is asked for"),
            ({"duration_s": 60, "modes": []}, 400, "modes", "at least one"),
            ({"duration_s": 60, "modes": ["exec"]}, 400, "modes", "choose among"),
            ({"duration_s": 60, "modes": "cpu"}, 400, "modes", "array"),
            ({"duration_s": 60, "frequency_hz": 20000}, 400, "frequency_hz", "10000"),
            ({"duration_s": 60, "wait_threshold_ns": 10}, 400, "wait_threshold_ns", "10 us"),
            ({"duration_s": 60, "frequency_hz": 200, "command": "x"}, 400, None, "command"),
            ({"duration_s": 60, "frequency_hz": 401}, 422, "frequency_hz", "--remote-max-frequency"),
            ({"duration_s": 601, "frequency_hz": 200}, 422, "duration_s", "--remote-max-time")]:
        got, answer = ask(aggregator, "POST", path, body)
        assert got == status, (body, answer)
        assert answer["error"].get("field") == field and text in answer["error"]["message"], (body, answer)
    assert ask(aggregator, "POST", "/api/v1/agents/nowhere/settings", {"duration_s": 1, "frequency_hz": 9})[0] == 404
    assert ask(aggregator, "DELETE", "/api/v1/agents/nowhere/settings")[0] == 404
    request = urllib.request.Request(aggregator.url + path, method="DELETE", headers={"Sec-Fetch-Site": "cross-site"})
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(request, timeout=30)
    assert e.value.code == 403
    r = cli(aggregator, "set", agent.id, "--rate", "500")
    assert r.returncode == 2 and "--remote-max-frequency" in r.stderr
    assert cli(aggregator, "set", agent.id).returncode == 2
    assert cli(aggregator, "set").returncode == 2
    assert cli(aggregator, "lst").returncode == 2
    assert cli(aggregator, "reset", "../ledger").returncode == 2
    assert agents(aggregator)[agent.id]["frequency_hz"] == 99
    assert agent.stop() == 0


def test_remote_control_can_be_off(aggregator, start_agent, busy):  # noqa: F811
    agent = start_agent(aggregator.grpc, "--pid", busy.pid, "--remote-control", "off").running()
    assert known(aggregator, agent)["settings"]["control"] == "off"
    status, answer = ask(aggregator, "POST", settings_of(aggregator, agent), {"duration_s": 60, "frequency_hz": 200})
    assert status == 409 and "--remote-control" in answer["error"]["message"]
    r = cli(aggregator, "list")
    assert r.returncode == 0 and "its own, fixed" in r.stdout
    assert agent.stop() == 0
