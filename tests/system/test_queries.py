"""Queries: the same answers on both stores and over both protocols, who calls whom, the heatmap, and what
bounds a query: its filter's cost, the queue, and a client that leaves."""

import http.client
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc
import pytest

from conftest import BUILD, environment, wait_for
from openapi import check_named
from test_rest_data import EARLIER, NOW, PERIOD, batch, paths

APERTURE = BUILD / "src/cli/aperture"
AGENT = "6a9e1d3c-0000-4000-8000-00000000cafe"
# Within what is kept, and the same for all tests of a run.
START = int(time.time()) // 86400 * 86400 - 86400 + 3600
RANGES = {"both": (START - 60, START + 60), "late": (START, START + 60), "part": (START + 1, START + 3),
          "empty": (START + 600, START + 700)}
FILTERS = ["", '{service="redis"}', '{service!="redis"}', '{service=~"re.*|none"}', '{service!~"re.*"}',
           '{service="redis",comm=~"work.r"}', '{pod=""}', '{pod!=""}', '{host="host-1"}', '{host!="host-1"}']
CASES = [(r, t, f, n) for r in RANGES for t in ("cpu:samples", "cpu:nanoseconds", "offcpu:count")
         for f in FILTERS for n in (0, 3)]
SEEN = {}  # by case: what the store asked first answered


@pytest.fixture
def aggregator(store_flags, start_aggregator):  # in this order, so that the server ends last
    return start_aggregator(store=store_flags)


@pytest.fixture
def data(aggregator, pb, stub):
    for sequence, start, rows in ((1, START - 50, EARLIER), (2, START, NOW)):
        b = batch(pb, AGENT, sequence, start, rows)
        assert stub.Push(pb.PushRequest(version=1, batch=b.SerializeToString())).status == pb.PushResponse.STATUS_OK
    return aggregator


def url_of(path, when, **more):
    start, end = RANGES[when]
    return f"{path}?" + urllib.parse.urlencode({"from": start * 1000, "to": end * 1000, **more})


def status_of(aggregator, path):
    """(status, headers, body) of any answer."""
    try:
        with urllib.request.urlopen(aggregator.url + path, timeout=60) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def metric(aggregator, line):
    with urllib.request.urlopen(aggregator.url + "/metrics") as r:
        found = re.search(rf"^{re.escape(line)} (\S+)$", r.read().decode(), re.M)
    assert found, line
    return float(found[1])


def of_rest(graph, side="coverage"):
    c = graph[side] if side == "coverage" else graph[side]["coverage"]
    cut = c["truncated"] or {"what": "", "cut": 0}
    return (c["hosts_reporting"], c["hosts_expected"], c["samples"], c["complete_share"], c["lost"], c["pending"],
            cut["what"], cut["cut"], sum(c["reasons"].values()))


def of_grpc(c):
    return (c.hosts_reporting, c.hosts_expected, c.samples, None if c.complete_share < 0 else c.complete_share,
            c.lost, c.pending, c.truncated, c.cut, sum(r.count for r in c.reasons))


def tree_of_grpc(tree, column):
    nodes = {"name": tree.name, "depth": tree.depth, column: getattr(tree, column)}
    return paths({"nodes": nodes, "strings": [s.decode() for s in tree.strings]}, column)


def both_protocols(data, pb, stub, case):
    when, kind, selector, nodes = case
    more = {"max_nodes": nodes} if nodes else {}
    graph = check_named("FlameGraph", data.get(url_of("/api/v1/flamegraph", when, type=kind, filter=selector, **more)))
    start, end = RANGES[when]
    answer = stub.Aggregate(pb.QueryRequest(from_ms=start * 1000, to_ms=end * 1000, type=kind, filter=selector,
                                            max_nodes=nodes))
    rest = (paths(graph, "total"), paths(graph, "self"), graph["folded_nodes"], graph["folded_total"], of_rest(graph))
    tree = answer.tree
    assert rest == (tree_of_grpc(tree, "total"), tree_of_grpc(tree, "self"), tree.folded_nodes, tree.folded_total,
                    of_grpc(answer.coverage)), case
    return rest


def test_answers_are_the_same_everywhere(data, pb, stub):
    """Over REST and gRPC, from memory and from the store, on the embedded engine and on a server."""
    buffered = {case: both_protocols(data, pb, stub, case) for case in CASES}
    wait_for(lambda: metric(data, "aperture_clickhouse_pending_rows") == 0, "the flush")
    for case in CASES:
        stored = both_protocols(data, pb, stub, case)
        assert stored == buffered[case], case
        assert SEEN.setdefault(case, stored) == stored, case
    total = SEEN[("both", "cpu:samples", "", 0)][0]["all"]
    assert total == sum(row[3] for row in EARLIER + NOW)


def test_a_comparison_is_the_same_over_both(data, pb, stub):
    path = "/api/v1/diff?" + urllib.parse.urlencode({
        "a.from": (START - 60) * 1000, "a.to": START * 1000, "b.from": START * 1000, "b.to": (START + 60) * 1000,
        "a.filter": '{service=~"redis|nginx"}'})
    rest = check_named("Diff", data.get(path))
    answer = stub.Diff(pb.DiffRequest(
        a=pb.QueryRequest(from_ms=(START - 60) * 1000, to_ms=START * 1000, filter='{service=~"redis|nginx"}'),
        b=pb.QueryRequest(from_ms=START * 1000, to_ms=(START + 60) * 1000)))
    assert paths(rest, "total") == tree_of_grpc(answer.tree, "total")
    assert rest["nodes"]["total_a"] == list(answer.total_a)
    assert of_rest(rest, "a") == of_grpc(answer.coverage_a)
    assert of_rest(rest, "b") == of_grpc(answer.coverage_b)


def query_of(pb, when, **more):
    start, end = RANGES[when]
    return pb.QueryRequest(from_ms=start * 1000, to_ms=end * 1000, **more)


def function_over_both(data, pb, stub, read, **more):
    """The REST answer, after it was found the same over gRPC."""
    rest = check_named("FunctionGraph", data.get(url_of(f"/api/v1/{read}", "late", **more)))
    ask = pb.FunctionRequest(query=query_of(pb, "late", type=more.get("type", ""), max_nodes=more.get("max_nodes", 0)),
                             function=more["function"])
    if "module" in more:
        ask.module = more["module"]
    answer = getattr(stub, read.capitalize())(ask)
    for column in ("total", "self"):
        assert paths(rest, column) == tree_of_grpc(answer.tree, column)
    assert (rest["folded_nodes"], rest["folded_total"], rest["selection_total"], rest["unit"], of_rest(rest)) == (
        answer.tree.folded_nodes, answer.tree.folded_total, answer.selection_total, answer.tree.unit,
        of_grpc(answer.coverage))
    return rest


def code_of(call, *args):
    with pytest.raises(grpc.RpcError) as e:
        call(*args)
    return e.value.code(), e.value.details()


def test_callers_and_callees(data, pb, stub):
    callers = function_over_both(data, pb, stub, "callers", function="serve")
    assert paths(callers, "total") == {
        "all": 50 * PERIOD, "all;serve": 50 * PERIOD, "all;serve;main": 50 * PERIOD}
    assert (callers["selection_total"], callers["module"]) == (70 * PERIOD, None)
    callees = function_over_both(data, pb, stub, "callees", function="serve", module="app", type="cpu:samples")
    assert paths(callees, "total") == {
        "all": 50, "all;serve": 50, "all;serve;lookup": 40, "all;serve;read": 10}
    assert callees["coverage"]["samples"] == 70
    for module in ("libc.so.6", ""):
        nobody = function_over_both(data, pb, stub, "callees", function="serve", module=module)
        assert (nobody["total"], nobody["selection_total"]) == (0, 70 * PERIOD)
    folded = function_over_both(data, pb, stub, "callees", function="main", max_nodes=3)
    assert folded["total"] == 70 * PERIOD and folded["folded_nodes"] > 0
    status, _, body = status_of(data, url_of("/api/v1/callers", "late"))
    assert (status, json.loads(body)["error"]["field"]) == (400, "function")
    code, text = code_of(stub.Callers, pb.FunctionRequest(query=query_of(pb, "late")))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "function" in text
    code, text = code_of(stub.Callees, pb.FunctionRequest(query=pb.QueryRequest(from_ms=1), function="main"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "query.from_ms" in text


def heatmap_over_both(data, pb, stub, when, step_ms=0, rows=0, **more):
    """The REST answer, after it was found the same over gRPC."""
    shape = {"step": f"{step_ms}ms", "rows": rows} if step_ms else {}
    rest = check_named("Heatmap", data.get(url_of("/api/v1/heatmap", when, **shape, **more)))
    answer = stub.Heatmap(pb.HeatmapRequest(query=query_of(pb, when, **more), step_ms=step_ms, rows=rows))
    cells = [value if reported else None for value, reported in zip(answer.value, answer.reported, strict=True)]
    assert (rest["from"], rest["to"], rest["step_ms"], rest["rows"], rest["columns"], rest["cells"], rest["max"],
            rest["total"], rest["unit"], of_rest(rest)) == (
        answer.from_ms, answer.to_ms, answer.step_ms, answer.rows, answer.columns, cells, answer.max, answer.total,
        answer.unit, of_grpc(answer.coverage))
    return rest


def test_heatmap(data, pb, stub):
    heat = heatmap_over_both(data, pb, stub, "late", type="cpu:samples")
    assert (heat["step_ms"], heat["rows"], heat["columns"]) == (1000, 60, 1)
    assert heat["cells"][:10] == [40, 0, 10, 20, 0, 0, 0, 0, 0, 0]
    assert heat["cells"][10:] == [None] * 50, "no host reported then"
    assert (heat["max"], heat["total"]) == (40, 70)
    wide = heatmap_over_both(data, pb, stub, "both", 2000, 10, type="cpu:samples", filter='{service="redis"}')
    assert (wide["from"], wide["to"], wide["columns"]) == ((START - 60) * 1000, (START + 60) * 1000, 6)
    assert wide["cells"][30:35] == [40, 10, 0, 0, 0] and wide["total"] == 60
    day = check_named("Heatmap", data.get("/api/v1/heatmap?from=now-24h&to=now"))
    assert day["step_ms"] == 10000 and day["columns"] * day["rows"] == len(day["cells"]) < 11000
    status, _, body = status_of(data, "/api/v1/heatmap?from=now-28h&to=now&step=10s&rows=1440")
    assert status == 400 and "rows" in json.loads(body)["error"]["message"]
    code, text = code_of(stub.Heatmap, pb.HeatmapRequest(query=query_of(pb, "both"), rows=1441))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "1440" in text
    assert code_of(stub.Heatmap, pb.HeatmapRequest())[0] == grpc.StatusCode.INVALID_ARGUMENT


def cli_of(aggregator, *args):
    return subprocess.run([APERTURE, *args, "--server", aggregator.url], capture_output=True, text=True, timeout=60,
                          env=dict(environment(), TZ="UTC"))


def test_callers_and_callees_in_a_terminal(data):
    start, end = RANGES["late"]
    selection = ["--from", str(start * 1000), "--to", str(end * 1000), "--type", "cpu:samples"]
    drawn = cli_of(data, "callees", "serve", *selection)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.splitlines() == [
        "serve: 50 of 70 CPU samples (71.4 %); 1 of 1 hosts reported, lost 2 samples.", "",
        "   TOTAL              SELF    CALLS",
        " 100.0 %        50   0.0 %    serve  app",
        "  80.0 %        40  80.0 %    ├─ lookup  app",
        "  20.0 %        10  20.0 %    └─ read  [kernel]"]
    drawn = cli_of(data, "callers", "serve", *selection, "--filter", '{service="redis"}', "--min-percent", "0")
    assert drawn.stdout.splitlines()[2:] == [
        "   TOTAL              SELF    CALLED BY",
        " 100.0 %        50   0.0 %    serve  app",
        " 100.0 %        50 100.0 %    main  app"]
    one = cli_of(data, "callees", "main", *selection, "--depth", "0", "--min-percent", "60").stdout
    assert one.count("\n") < cli_of(data, "callees", "main", *selection).stdout.count("\n")
    rest = data.get(url_of("/api/v1/callers", "late", type="cpu:samples", function="serve", module="app"))
    asked = cli_of(data, "callers", "serve", *selection, "--module", "app", "--format", "json")
    assert json.loads(asked.stdout) == rest
    like = cli_of(data, "callers", "SERV", *selection)
    assert (like.returncode, like.stdout) == (5, "") and "'SERV'; there are: serve (app)" in like.stderr
    other = cli_of(data, "callees", "serve", "--module", "libc.so.6", *selection)
    assert other.returncode == 5 and "of that module; there are: serve (app)" in other.stderr
    empty = cli_of(data, "callers", "serve", "--from", "now-3d", "--to", "now-2d")
    assert empty.returncode == 5 and "no samples of cpu:nanoseconds" in empty.stderr
    for wrong in (["serve", "--filter", "{service=~}"], ["serve", "--min-percent", "200"], [], ["serve", "main"]):
        assert cli_of(data, "callers", *wrong).returncode == 2, wrong


def test_heatmap_in_a_terminal(data):
    """Cells are drawn line by line: full, half full, empty, and those that no host reported."""
    start, end = RANGES["late"]
    selection = ["--from", str(start * 1000), "--to", str(end * 1000), "--type", "cpu:samples"]
    drawn = cli_of(data, "heatmap", *selection, "--step", "1s", "--rows", "12")
    assert drawn.returncode == 0, drawn.stderr
    lines = drawn.stdout.splitlines()
    assert lines[:12] == ["+0s     █····", "+1s      ····", "+2s     ▒····", "+3s     ▓····", *(
        f"+{i}s".ljust(8) + " ····" for i in range(4, 10)), "+10s    ·····", "+11s    ·····"]
    assert lines[12] == " " * 8 + time.strftime("%H:%M", time.gmtime(start))
    assert lines[13] == ("A column is 12s, a cell 1s; █ is up to 40 samples, · nothing is known. "
                         "In all 70 samples; 1 of 1 hosts reported, lost 2 samples.")
    folded = cli_of(data, "heatmap", *selection).stdout.splitlines()
    assert folded[:3] == ["+0s     █", "+5s      ", "+10s    ·"], "seconds of which five are one"
    assert "a cell 5s; █ is up to 70 samples" in folded[13]
    rest = data.get(url_of("/api/v1/heatmap", "late", type="cpu:samples"))
    assert json.loads(cli_of(data, "heatmap", *selection, "--format", "json").stdout) == rest
    wide = cli_of(data, "heatmap", *selection[:2], "--to", str((start + 360) * 1000), "--step", "1s", "--rows", "3")
    assert [len(line) - 8 for line in wide.stdout.splitlines()[:8]] == [72] * 3 + [65] + [48] * 3 + [45], "two bands"
    wrong = cli_of(data, "heatmap", "--filter", "{service=~}")
    assert wrong.returncode == 2 and "selector" in wrong.stderr


HOSTILE = ["(a|aa)+$", "(.*)*x", "(x+x+)+y", "(" * 80 + "w*" + ")*" * 80, "(w?){1000}r{1000}", "((a{0,100}){0,100}){0,100}"]
READS = ["flamegraph", "top", "series", "heatmap", "services", "labels", "label-values?label=service", "locks",
         "syscalls", "modules", "profile-types", "callers?function=main", "callees?function=main"]


def test_a_filter_applies_everywhere_and_its_cost_is_bounded(data):
    for read in READS:
        path, _, own = f"/api/v1/{read}".partition("?")
        more = dict(urllib.parse.parse_qsl(own))
        status, _, body = status_of(data, url_of(path, "late", filter="{service=~}", **more))
        assert (status, json.loads(body)["error"]["field"]) == (400, "filter"), read
        for operator in ("=", "!=", "=~", "!~"):
            selector = f'{{service{operator}"redis"}}'
            assert status_of(data, url_of(path, "late", filter=selector, **more))[0] == 200, (read, selector)
        for regex in HOSTILE:
            begin = time.monotonic()
            status, _, body = status_of(data, url_of(path, "late", filter=f'{{comm=~"{regex}"}}', **more))
            assert status in (200, 400, 422), (read, regex, body)
            assert time.monotonic() - begin < 25, "the query's own time bound never came into it"


STACKS = 10_000


def large_batch(pb, sequence, first):
    """Rows of as many different stacks, ten frames deep, two of whose functions no other has."""
    strings = [b"/usr/bin/large", *(f"function_with_a_name_of_usual_length_{i}".encode() for i in range(first, first + STACKS))]
    n = len(strings)
    return pb.Batch(
        agent=pb.Agent(id=AGENT, host="host-2", version="0.1.0", kernel="6.1", cpus=2, arch="x86_64"), epoch=2,
        sequence=sequence, start_time_ns=START * 10**9, end_time_ns=(START + 10) * 10**9, period_ns=PERIOD,
        strings=strings, mappings=[pb.Mapping(path=1)], functions=[pb.Function(name=i + 1) for i in range(1, n)],
        frames=pb.Frames(mapping=[1] * (n - 1), offset=[16 * (first + i) for i in range(1, n)],
                         function=list(range(1, n)), line=[0] * (n - 1), inline_index=[0] * (n - 1), kind=[0] * (n - 1)),
        stacks=pb.Stacks(depth=[10] * STACKS, reason=[0] * STACKS,
                         frames=[1 + (i * 7 + k) % (n - 1) for i in range(STACKS) for k in range(10)]),
        samples=pb.Samples(time_delta_ns=[START * 10**9] + [0] * (STACKS - 1), event=[1] * STACKS, label_set=[0] * STACKS,
                           stack=list(range(1, STACKS + 1)), count=[3] * STACKS, value=[3 * PERIOD] * STACKS))


def rss(aggregator):
    with open(f"/proc/{aggregator.process.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) << 10


def test_an_export_takes_bounded_memory_and_its_client_bounded_time(start_aggregator, pb, generated):
    import aggregator_pb2_grpc

    aggregator = start_aggregator("aggregator", "--client-timeout", "3s")
    with grpc.insecure_channel(aggregator.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        for sequence in range(1, 6):
            b = large_batch(pb, sequence, sequence * STACKS)
            answer = aggregator_pb2_grpc.AggregatorStub(channel).Push(
                pb.PushRequest(version=1, batch=b.SerializeToString()))
            assert answer.status == pb.PushResponse.STATUS_OK, answer
    wait_for(lambda: metric(aggregator, "aperture_clickhouse_pending_rows") == 0, "the flush")
    path = url_of("/api/export/collapsed", "late", type="cpu:samples")
    whole = status_of(aggregator, path)[2]
    assert sum(int(line.rsplit(b" ", 1)[1]) for line in whole.splitlines()) == 3 * 5 * STACKS
    before = rss(aggregator)
    stalled = [open_read(aggregator, path) for _ in range(4)]
    answers = [c.getresponse() for c in stalled]
    assert [(a.status, a.read(1)) for a in answers] == [(200, whole[:1])] * 4
    status, headers, body = status_of(aggregator, path)
    assert status == 503 and headers["Retry-After"] and json.loads(body)["error"]["code"] == "busy"
    print(f"export of {len(whole) >> 20} MiB; RSS {before >> 20} MiB, with four that stall {rss(aggregator) >> 20}")
    assert rss(aggregator) - before < 4 * 100 * 2**20
    wait_for(lambda: status_of(aggregator, path)[0] == 200, "the stalled ones to be dropped")
    for answer in answers:
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    slow, got = open_read(aggregator, path), b""
    answer = slow.getresponse()
    while piece := answer.read(1 << 20):
        got += piece
    assert got == whole, "who reads on gets it all"


def open_read(aggregator, path):
    host, port = aggregator.url.removeprefix("http://").rstrip("/").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", path)
    return connection


# Rows without end, which ClickHouse makes as it is asked for them.
ENDLESS = """CREATE VIEW samples AS SELECT toDateTime({start}) AS time, toUInt8(1) AS event, 'redis' AS service,
 '' AS host, '' AS agent, toUInt64(number % 10) AS stack, toUInt64(1) AS count, toUInt64(1) AS value,
 toUInt64(0) AS segment FROM system.numbers"""


@pytest.fixture
def endless(start_clickhouse, start_aggregator):
    """An aggregator with a server whose samples have no end: (aggregator, how many queries run there)."""
    server = start_clickhouse()

    def start(*flags):
        a = start_aggregator("aggregator", *flags, store=server.flags)
        wait_for(lambda: server.ask("EXISTS TABLE samples") == "1", "the tables")
        for rule in a.get("/api/alerts")["rules"]:  # they would ask as well
            urllib.request.urlopen(urllib.request.Request(f"{a.url}/api/alerts/{rule['id']}", method="DELETE"))
        wait_for(lambda: metric(a, "aperture_query_running") == 0, "the rules to rest")
        server.ask("RENAME TABLE samples TO samples_kept")
        server.ask(ENDLESS.format(start=START + 1))
        return a

    def running():
        return int(server.ask("SELECT count() FROM system.processes WHERE query LIKE '%FROM samples%' "
                              "AND query NOT LIKE '%processes%'"))

    return start, running


def test_a_query_ends_in_the_store_when_its_client_leaves(endless, pb, generated):
    import aggregator_pb2_grpc

    start, running = endless
    aggregator = start("--query-timeout", "1h")
    connection = open_read(aggregator, url_of("/api/v1/flamegraph", "late"))
    wait_for(lambda: running() == 1, "the query to run")
    assert metric(aggregator, "aperture_query_running") == 1
    connection.close()
    wait_for(lambda: running() == 0, "the store to stop")
    cancelled = 'aperture_query_total{kind="flamegraph",status="cancelled"}'
    wait_for(lambda: metric(aggregator, cancelled) == 1, "its count")

    with grpc.insecure_channel(aggregator.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        start_ms, end_ms = (t * 1000 for t in RANGES["late"])
        call = aggregator_pb2_grpc.AggregatorStub(channel).Aggregate.future(
            pb.QueryRequest(from_ms=start_ms, to_ms=end_ms))
        wait_for(lambda: running() == 1, "the call to run")
        call.cancel()
    wait_for(lambda: running() == 0, "the store to stop again")
    wait_for(lambda: metric(aggregator, cancelled) == 2, "its count")
    assert metric(aggregator, "aperture_query_running") == 0


def test_queries_beyond_the_queue_are_told_to_come_again(endless):
    start, running = endless
    aggregator = start("--query-concurrency", "1", "--query-queue", "1", "--query-timeout", "1h")
    path = url_of("/api/v1/flamegraph", "late")
    first = open_read(aggregator, path)
    wait_for(lambda: running() == 1, "the query to run")
    second = open_read(aggregator, path)
    wait_for(lambda: metric(aggregator, "aperture_query_waiting") == 1, "the next one to wait")
    status, headers, body = status_of(aggregator, path)
    assert status == 503 and int(headers["Retry-After"]) > 0
    assert json.loads(body)["error"]["code"] == "busy"
    answer = second.getresponse()  # it has waited in vain
    assert answer.status == 503 and answer.headers["Retry-After"]
    assert status_of(aggregator, "/healthz")[0] == 200
    first.close()
    second.close()
    assert metric(aggregator, 'aperture_query_total{kind="flamegraph",status="busy"}') == 2


def test_a_query_that_takes_too_long_says_what_to_narrow(endless):
    start, running = endless
    aggregator = start("--query-timeout", "200ms")
    status, headers, body = status_of(aggregator, url_of("/api/v1/top", "late"))
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (503, "timeout") and "narrow" in error["message"]
    wait_for(lambda: running() == 0, "the store to stop")
    assert metric(aggregator, 'aperture_query_total{kind="top",status="timeout"}') == 1
