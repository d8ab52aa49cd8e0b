"""What the REST API answers about known samples: exact values, in answers that fit docs/openapi.json,
from the buffer, from the store, and after a restart."""

import gzip
import json
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest
from conftest import wait_for
from openapi import check_named

PERIOD = 10_101_010  # of 99 Hz, in nanoseconds
STRINGS = ["service", "redis", "nginx", "comm", "worker", "main", "serve", "lookup", "idle\"loop\u00e9",
           "/usr/bin/app", "[kernel]", "read"]
INDEX = {s: i + 1 for i, s in enumerate(STRINGS)}
FUNCTIONS = ["main", "serve", "lookup", "idle\"loop\u00e9", "read"]
# Outermost first; the kernel's frame last.
STACKS = [["main", "serve", "lookup"], ["main", "idle\"loop\u00e9"], ["main", "serve", "read"]]


def batch(pb, agent, sequence, start, rows):
    """`rows`: (second after start, service, stack, count)."""
    b = pb.Batch(epoch=1, sequence=sequence, start_time_ns=start * 10**9,
                 end_time_ns=(start + 10) * 10**9, period_ns=PERIOD)
    b.agent.id, b.agent.host, b.agent.version = agent, "host-1", "0.1.0"
    b.agent.kernel, b.agent.cpus, b.agent.arch = "6.18.0", 2, "x86_64"
    b.strings.extend(s.encode() for s in STRINGS)
    b.mappings.add(path=INDEX["/usr/bin/app"])
    b.mappings.add(path=INDEX["[kernel]"])
    for i, name in enumerate(FUNCTIONS):
        b.functions.add(name=INDEX[name], start_line=10)
        kernel = name == "read"
        b.frames.mapping.append(2 if kernel else 1)
        b.frames.offset.append(0x1000 + i * 16)
        b.frames.function.append(i + 1)
        b.frames.line.append(11)
        b.frames.inline_index.append(0)
        b.frames.kind.append(1 if kernel else 0)
    for i, stack in enumerate(STACKS):
        b.stacks.depth.append(len(stack))
        b.stacks.reason.append(9 if i == 1 else 0)
        b.stacks.frames.extend(FUNCTIONS.index(f) + 1 for f in stack)
    for service in ("redis", "nginx"):
        b.label_sets.add(key=[INDEX["comm"], INDEX["service"]],
                         value=[INDEX["worker"], INDEX[service]])
    at = 0
    for second, service, stack, count in sorted(rows):
        t = (start + second) * 10**9
        b.samples.time_delta_ns.append(t - at)
        at = t
        b.samples.event.append(1)
        b.samples.label_set.append(1 if service == "redis" else 2)
        b.samples.stack.append(stack + 1)
        b.samples.count.append(count)
        b.samples.value.append(count * PERIOD)
        b.stack_reasons.add(reason=b.stacks.reason[stack], count=count)
    total = sum(r[3] for r in rows)
    for entry, count in ((0, total + 5), (1, total), (3, 3), (5, 2)):
        b.ledger.add(id=entry, count=count)
    b.status.cpu_user_ns, b.status.cpu_bpf_ns, b.status.rss_bytes = sequence * 10**6, 10**5, 10**7
    b.status.map_bytes, b.status.frequency_hz = 10**6, 99
    b.status.modes.append("cpu")
    return b


EARLIER = [(0, "redis", 0, 10), (1, "nginx", 1, 20)]
NOW = [(0, "redis", 0, 40), (2, "redis", 2, 10), (3, "nginx", 1, 20)]


class Data:
    """An aggregator that holds one batch of the minute before, and one of this minute."""

    def __init__(self, aggregator, pb, stub):
        self.aggregator = aggregator
        self.agent = str(uuid.uuid4())
        self.middle = int(time.time()) // 10 * 10 - 30
        for sequence, start, rows in ((1, self.middle - 50, EARLIER), (2, self.middle, NOW)):
            b = batch(pb, self.agent, sequence, start, rows)
            answer = stub.Push(pb.PushRequest(version=1, batch=b.SerializeToString()))
            assert answer.status == pb.PushResponse.STATUS_OK, answer
        self.a = (self.middle - 60) * 1000, self.middle * 1000
        self.b = self.middle * 1000, (self.middle + 60) * 1000

    def query(self, **more):
        return urllib.parse.urlencode({"from": self.b[0], "to": self.b[1], **more})

    def get(self, path, **more):
        return self.aggregator.get(f"{path}?{self.query(**more)}")

    def bytes(self, path, **more):
        with urllib.request.urlopen(f"{self.aggregator.url}{path}?{self.query(**more)}") as r:
            return r.read()

    def post(self, path, body):
        request = urllib.request.Request(self.aggregator.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as r:
            return json.load(r)

    def metric(self, name):
        with urllib.request.urlopen(self.aggregator.url + "/metrics") as r:
            for line in r.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


@pytest.fixture
def aggregator(store_flags, start_aggregator):  # in this order, so that the server ends last
    return start_aggregator(store=store_flags)


@pytest.fixture
def data(aggregator, pb, stub):
    return Data(aggregator, pb, stub)


def paths(graph, column):
    """{"all;main;…": value} of a column-wise tree."""
    nodes, strings, stack, out = graph["nodes"], graph["strings"], [], {}
    for i, depth in enumerate(nodes["depth"]):
        stack[depth:] = [strings[nodes["name"][i]]]
        out[";".join(stack)] = nodes[column][i]
    return out


def assert_flame_graph(graph):
    assert graph["total"] == 70 * PERIOD
    assert paths(graph, "total") == {
        "all": 70 * PERIOD, "all;main": 70 * PERIOD, "all;main;serve": 50 * PERIOD,
        "all;main;serve;lookup": 40 * PERIOD, "all;main;serve;read": 10 * PERIOD,
        "all;main;idle\"loop\u00e9": 20 * PERIOD}
    coverage = graph["coverage"]
    assert coverage["samples"] == 70
    assert coverage["hosts_reporting"] == coverage["hosts_expected"] == 1
    assert coverage["reasons"] == {"ok": 50, "no_frame_pointer": 20}
    assert coverage["complete_share"] == pytest.approx(50 / 70)
    assert coverage["lost"] == 2, "what was idle is not lost"
    assert coverage["truncated"] is None


def test_flame_graph(data):
    graph = check_named("FlameGraph", data.get("/api/v1/flamegraph"))
    assert_flame_graph(graph)
    assert graph["nodes"]["depth"][0] == 0 and graph["folded_nodes"] == 0
    kinds = dict(zip((graph["strings"][n] for n in graph["nodes"]["name"]), graph["nodes"]["kind"]))
    assert (kinds["read"], kinds["main"]) == (1, 0)
    body = {"from": data.b[0], "to": str(data.b[1]), "type": "cpu:nanoseconds"}
    assert check_named("FlameGraph", data.post("/api/aggregate", body)) == graph


def test_filter_and_type(data):
    graph = data.get("/api/v1/flamegraph", filter='{service=~"ng.*"}', type="cpu:samples")
    check_named("FlameGraph", graph)
    assert (graph["total"], graph["unit"]) == (20, "samples")
    assert data.get("/api/v1/flamegraph", filter='{service="none"}')["total"] == 0


def test_a_limit_folds_and_keeps_totals(data):
    graph = check_named("FlameGraph", data.get("/api/v1/flamegraph", max_nodes=4))
    assert len(graph["nodes"]["depth"]) <= 4
    assert graph["total"] == sum(graph["nodes"]["self"]) == 70 * PERIOD
    assert graph["folded_nodes"] > 0 and graph["folded_total"] > 0
    assert "(other)" in graph["strings"]


def test_binary_columns_equal_json(data):
    graph = data.get("/api/v1/flamegraph")
    raw = data.bytes("/api/v1/flamegraph", format="binary")
    magic, version, n, n_strings, meta_bytes, flags = struct.unpack_from("<4s5I", raw)
    assert (magic, version, flags, meta_bytes % 8) == (b"APFG", 1, 0, 0)
    assert (n, n_strings) == (len(graph["nodes"]["depth"]), len(graph["strings"]))
    at = 24
    meta = json.loads(raw[at:at + meta_bytes])
    assert meta == {k: v for k, v in graph.items() if k not in ("nodes", "strings")}
    at += meta_bytes
    for column, code, size in (("total", "Q", 8), ("self", "Q", 8), ("depth", "I", 4),
                               ("name", "I", 4), ("module", "I", 4), ("kind", "B", 1)):
        assert list(struct.unpack_from(f"<{n}{code}", raw, at)) == graph["nodes"][column]
        at += (n * size + 3) // 4 * 4
    offsets = struct.unpack_from(f"<{n_strings + 1}I", raw, at)
    at += 4 * (n_strings + 1)
    strings = [raw[at + a:at + b].decode() for a, b in zip(offsets, offsets[1:])]
    assert strings == graph["strings"]
    assert len(raw) == at + offsets[-1]


def test_top(data):
    top = check_named("TopFunctions", data.get("/api/v1/top", sort="total"))
    assert [(f["function"], f["total"]) for f in top["functions"][:2]] == \
        [("main", 70 * PERIOD), ("serve", 50 * PERIOD)]
    first = check_named("TopFunctions", data.get("/api/v1/top", limit=1))
    assert [(f["function"], f["self"]) for f in first["functions"]] == [("lookup", 40 * PERIOD)]
    assert first["functions"][0]["module"] == "app"
    assert first["total"] == 70 * PERIOD
    assert first["coverage"]["truncated"] == {"what": "functions", "cut": 4}
    # What waits in the kernel does so on behalf of the program's function that called it.
    places = check_named("TopFunctions", data.get("/api/v1/top", sort="place"))["functions"]
    assert [(f["function"], f["place"] // PERIOD) for f in places if f["place"]] == \
        [("lookup", 40), ("idle\"loop\u00e9", 20), ("serve", 10)]


def test_series(data):
    series = check_named("Series", data.get("/api/v1/series", by="service", step="10s", top=1))
    assert series["step_ms"] == 10000
    assert series["times"] == list(range(series["from"], series["to"], 10000))
    at = series["times"].index(data.b[0])
    assert [(s["value"], s["total"]) for s in series["series"]] == [("redis", 50 * PERIOD)]
    assert series["series"][0]["values"][at] == 50 * PERIOD
    assert series["other"]["count"] == 1 and series["other"]["values"][at] == 20 * PERIOD
    assert series["series"][0]["values"][at + 3] is None, "no host reported then: a gap"
    one = check_named("Series", data.get("/api/v1/series"))
    assert [s["total"] for s in one["series"]] == [70 * PERIOD] and one["other"] is None


def test_services(data):
    answer = check_named("Services", data.get("/api/v1/services"))
    assert answer["total_value"] == 70 * PERIOD
    assert answer["previous"] == {"from": data.a[0], "to": data.a[1]}
    redis, nginx = answer["services"]
    assert (redis["service"], redis["value"], redis["samples"]) == ("redis", 50 * PERIOD, 50)
    assert redis["share"] == pytest.approx(50 / 70) and redis["complete_share"] == 1
    assert (redis["previous_value"], redis["previous_day_value"]) == (10 * PERIOD, None)
    assert redis["largest_riser"] == {"function": "lookup", "module": "app",
                                      "value": 40 * PERIOD, "previous_value": 10 * PERIOD}
    assert (nginx["value"], nginx["previous_value"], nginx["hosts"]) == \
        (20 * PERIOD, 20 * PERIOD, 1)
    assert nginx["complete_share"] == 0 and nginx["largest_riser"] is None


def test_diff(data):
    sides = {f"{side}.{key}": value for side, span in (("a", data.a), ("b", data.b))
             for key, value in zip(("from", "to"), span)}
    url = "/api/v1/diff?" + urllib.parse.urlencode(sides)
    diff = check_named("Diff", data.aggregator.get(url))
    assert (diff["total_a"], diff["total"]) == (30 * PERIOD, 70 * PERIOD)
    assert (diff["a"]["total"], diff["b"]["total"]) == (30 * PERIOD, 70 * PERIOD)
    assert paths(diff, "total_a")["all;main;serve"] == 10 * PERIOD
    assert paths(diff, "total")["all;main;serve"] == 50 * PERIOD
    assert paths(diff, "self_a")["all;main;serve;read"] == 0
    by_name = {f["function"]: (f["self_a"], f["self_b"]) for f in diff["functions"]}
    assert by_name["lookup"] == (10 * PERIOD, 40 * PERIOD)
    body = {"a": {"from": data.a[0], "to": data.a[1]}, "b": {"from": data.b[0], "to": data.b[1]}}
    assert check_named("Diff", data.post("/api/diff", body)) == diff


def test_labels_and_types(data):
    labels = check_named("Labels", data.get("/api/v1/labels"))["labels"]
    assert {"service", "comm", "host"} <= set(labels)
    values = check_named("LabelValues", data.get("/api/v1/label-values", label="service"))
    assert values["values"] == [{"value": "redis", "samples": 50}, {"value": "nginx", "samples": 20}]
    cut = check_named("LabelValues", data.get("/api/v1/label-values", label="service", limit=1))
    assert len(cut["values"]) == 1 and cut["coverage"]["truncated"] == {"what": "values", "cut": 1}
    types = check_named("ProfileTypes", data.get("/api/v1/profile-types"))["types"]
    available = {t["name"] for t in types if t["available"]}
    assert available == {"cpu:samples", "cpu:nanoseconds"}


def test_agents_and_ledger(data):
    answer = check_named("Agents", data.aggregator.get("/api/v1/agents"))
    assert answer["install_command"] == f"aperture-agent --server {data.aggregator.grpc}"
    (agent,) = answer["agents"]
    assert (agent["id"], agent["host"], agent["state"]) == (data.agent, "host-1", "ok")
    assert (agent["samples"], agent["lost"], agent["frequency_hz"]) == (100, 4, 99)
    assert agent["reasons"] == {"ok": 60, "no_frame_pointer": 40}
    assert agent["complete_share"] == pytest.approx(0.6)
    for path in ("/api/v1/ledger", f"/api/v1/ledger?agent={data.agent}"):
        ledger = check_named("Ledger", data.aggregator.get(path))
        stages = {s["stage"]: s for s in ledger["stages"]}
        sample = stages["sample"]
        assert (sample["in"]["count"], sample["out"]["count"], sample["balance"]) == (110, 100, 0)
        assert {e["name"]: e["count"] for e in sample["losses"]}["ringbuf_full"] == 4
        assert ledger["coverage"]["samples"] == 100
        assert ("ingest" in stages) == ("agent" not in path)
    ingest = {s["stage"]: s for s in data.aggregator.get("/api/v1/ledger")["stages"]}["ingest"]
    assert (ingest["in"]["count"], ingest["out"]["count"], ingest["balance"]) == (100, 100, 0)


def test_batches_and_metrics(data):
    batches = check_named("Batches", data.aggregator.get("/api/batches"))
    assert [b["sequence"] for b in batches["batches"]] == [2, 1] and batches["total"] == 2
    assert batches["batches"][0]["samples"] == len(NOW)
    assert len(data.aggregator.get("/api/batches?limit=1")["batches"]) == 1
    assert data.metric('aperture_push_total{status="ok"}') == 2
    assert data.metric("aperture_push_events_total") == len(EARLIER) + len(NOW)
    assert data.metric('aperture_lost_total{stage="sample",reason="ringbuf_full"}') == 4
    assert data.metric("aperture_push_duration_seconds_count") == 2


def test_store(data):
    def stored():
        answer = data.aggregator.get("/api/v1/store")
        rows = {t["table"]: t["rows"] for t in answer["tables"]}
        return answer if rows.get("samples") == len(EARLIER) + len(NOW) else None

    answer = wait_for(stored, "the samples in the store")
    check_named("Store", answer)
    assert answer["bytes"] == sum(t["bytes"] for t in answer["tables"]) > 0
    assert answer["retention_s"] == 7 * 86400
    assert answer["oldest_day"] == time.strftime("%Y-%m-%d", time.gmtime(data.middle - 50))


def test_exports(data):
    collapsed = data.bytes("/api/export/collapsed", type="cpu:samples").decode().splitlines()
    assert "worker;main;serve;lookup 40" in collapsed
    assert "worker;main;serve;read_[k] 10" in collapsed
    assert sum(int(line.rsplit(" ", 1)[1]) for line in collapsed) == 70
    assert b"lookup" in gzip.decompress(data.bytes("/api/export/pprof"))
    assert "lookup" in json.dumps(json.loads(data.bytes("/api/export/speedscope")))
    json.loads(data.bytes("/api/export/json"))
    assert data.bytes("/api/export/svg").lstrip().startswith((b"<svg", b"<?xml"))


def test_the_same_from_the_store_and_after_a_restart(data):
    deadline = time.monotonic() + 60
    while not all(b["stored"] for b in data.aggregator.get("/api/batches")["batches"]):
        assert time.monotonic() < deadline, "not stored within 60 s"
        time.sleep(0.05)
    before = data.get("/api/v1/flamegraph")
    assert_flame_graph(before)
    assert data.metric("aperture_clickhouse_flush_rows_total") == len(EARLIER) + len(NOW)
    assert data.metric("aperture_clickhouse_pending_rows") == 0
    assert data.metric('aperture_stacks_total{reason="ok"}') == 60
    assert data.metric('aperture_stacks_total{reason="no_frame_pointer"}') == 40
    assert data.aggregator.stop() == 0
    data.aggregator = data.aggregator.again()
    try:
        assert data.get("/api/v1/flamegraph") == before
        (agent,) = check_named("Agents", data.aggregator.get("/api/v1/agents"))["agents"]
        assert (agent["id"], agent["host"], agent["samples"]) == (data.agent, "host-1", 100)
    finally:
        data.aggregator.stop()


def test_what_is_not_flushed_is_stored_on_the_way_out(start_aggregator, pb, generated):
    import aggregator_pb2_grpc
    import grpc

    first = start_aggregator("late", "--flush-interval", "60s")
    with grpc.insecure_channel(first.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        data = Data(first, pb, aggregator_pb2_grpc.AggregatorStub(channel))
    assert not any(b["stored"] for b in first.get("/api/batches")["batches"])
    assert first.stop() == 0
    data.aggregator = first.again()
    try:
        assert_flame_graph(data.get("/api/v1/flamegraph"))
    finally:
        data.aggregator.stop()
