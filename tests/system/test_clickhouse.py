"""The aggregator on a ClickHouse server: killed, paused, not there yet, shared, refusing."""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import grpc
import pytest
from conftest import AGGREGATOR
from crash import metric
from test_rest_data import batch
from waiting import wait_for

ROWS = [(0, "redis", 0, 40), (2, "redis", 2, 10), (3, "nginx", 1, 20)]
TOTAL = 70


class Pusher:
    """An agent's pushes by hand."""

    def __init__(self, pb, aggregator):
        import aggregator_pb2_grpc

        self.pb, self.agent, self.sequence = pb, str(uuid.uuid4()), 0
        self.start = int(time.time()) // 10 * 10 - 30
        self.use(aggregator)
        self.make = aggregator_pb2_grpc.AggregatorStub

    def use(self, aggregator):
        self.target = aggregator.grpc

    def send(self, more=b""):
        """The answer to the next batch, which has these bytes more."""
        b = batch(self.pb, self.agent, self.sequence + 1, self.start, ROWS)
        if more:
            b.strings.append(more)
        request = self.pb.PushRequest(version=1, batch=b.SerializeToString())
        with grpc.insecure_channel(self.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
            answer = self.make(channel).Push(request, timeout=20)
        self.sequence += answer.status == self.pb.PushResponse.STATUS_OK
        return answer

    def push(self):
        answer = self.send()
        assert answer.status == self.pb.PushResponse.STATUS_OK, answer

    def fill(self, n):
        """Pushes up to n large batches: whether all were taken."""
        for _ in range(n):
            if (answer := self.send(b"x" * 100_000)).status != self.pb.PushResponse.STATUS_OK:
                assert answer.status == self.pb.PushResponse.STATUS_BACKPRESSURE, answer
                return False
        return True


@pytest.fixture
def pusher(generated, pb):
    return lambda aggregator: Pusher(pb, aggregator)


def total(aggregator):
    """Samples of the last minutes, wherever they are: the root of the flame graph."""
    graph = aggregator.get("/api/v1/flamegraph?type=cpu:samples&from=now-10m&to=now")
    assert graph["coverage"]["samples"] == graph["total"], graph["coverage"]
    return graph["total"]


def ready(aggregator):
    """(whether its store is, what it says of it): the log takes in what a store does not."""
    try:
        with urllib.request.urlopen(aggregator.url + "/readyz", timeout=30) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as e:
        assert e.code == 503
        body = json.load(e)
    return body["checks"]["store"] == "ok", body["checks"]["store"]


def stored(server):
    return int(server.ask("SELECT sum(count) FROM samples"))


def test_rows_are_in_the_servers_database(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator(store=(*server.flags, "--clickhouse-database", "prof_1"))
    pusher(a).push()
    wait_for(lambda: server.ask("SELECT sum(count) FROM samples", "prof_1") == str(TOTAL), "the rows")
    assert a.get("/api/health")["store"]["driver"] == "server"
    assert a.get("/api/health")["store"]["version"].startswith("18.16")
    wait_for(lambda: {"samples", "stacks", "frames", "ledger"} <=
             {t["table"] for t in a.get("/api/v1/store")["tables"]}, "the tables")
    assert total(a) == TOTAL
    assert "secret" not in a.text()


def test_a_killed_server_comes_back(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "50ms", store=server.flags)
    p = pusher(a)
    p.push()
    wait_for(lambda: stored(server) == TOTAL, "the first rows")
    assert ready(a) == (True, "ok")
    server.kill()
    for _ in range(5):
        p.push()
    wait_for(lambda: not ready(a)[0], "the aggregator to notice")
    assert server.url in ready(a)[1] and "--clickhouse-url" in ready(a)[1]
    with pytest.raises(urllib.error.HTTPError) as refused:
        total(a)
    assert refused.value.code == 503
    assert json.load(refused.value)["error"]["code"] == "store_unreachable"
    server.start()
    wait_for(lambda: ready(a)[0], "the aggregator to be ready again")
    wait_for(lambda: stored(server) == 6 * TOTAL, "the rows that waited")
    assert total(a) == 6 * TOTAL


def test_killed_again_and_again_nothing_is_lost_or_doubled(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=server.flags)
    p = pusher(a)
    for _ in range(4):
        for _ in range(10):
            p.push()
        server.kill()
        p.push()
        server.start()
    wait_for(lambda: ready(a)[0] and stored(server) >= 44 * TOTAL, "all rows")
    batches = "SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger"
    wait_for(lambda: server.ask(batches).startswith("44\t"), "the ledger")
    assert server.ask(batches) == "44\t44"
    assert stored(server) == 44 * TOTAL
    assert total(a) == 44 * TOTAL


def test_a_paused_server_pushes_back_and_loses_nothing(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=server.flags)
    p = pusher(a)
    p.push()
    wait_for(lambda: stored(server) == TOTAL, "the first rows")
    server.pause()
    for _ in range(20):
        p.push()
    pending = a.get("/api/health")["buffer"]
    assert 0 < pending["bytes"] < pending["capacity_bytes"]
    server.resume()
    wait_for(lambda: stored(server) >= 21 * TOTAL, "the rows that waited")
    assert stored(server) == 21 * TOTAL
    assert total(a) == 21 * TOTAL


def test_a_server_whose_merges_fall_behind_refuses_inserts(start_clickhouse, start_aggregator, pusher):
    """What it refuses waits in the log, and readiness tells why."""
    server = start_clickhouse(more="<merge_tree><parts_to_delay_insert>3</parts_to_delay_insert>"
                                   "<parts_to_throw_insert>3</parts_to_throw_insert></merge_tree>")
    a = start_aggregator("a", "--flush-interval", "10ms", store=server.flags)
    p = pusher(a)
    wait_for(lambda: ready(a)[0], "the store")
    server.ask("SYSTEM STOP MERGES")
    while ready(a)[0]:
        p.push()
    assert "Too many parts" in ready(a)[1]
    for _ in range(5):
        p.push()
    assert stored(server) < p.sequence * TOTAL == total(a)
    server.ask("SYSTEM START MERGES")

    def merged():
        for table in ("frames", "stacks", "samples", "ledger"):
            server.ask(f"OPTIMIZE TABLE {table} FINAL")
        return True

    wait_for(lambda: merged() and ready(a)[0] and stored(server) >= p.sequence * TOTAL, "what waited")
    assert stored(server) == p.sequence * TOTAL == total(a)
    assert a.stop() == 0


def test_a_server_that_is_not_there_yet(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    server.kill()
    a = start_aggregator("a", "--flush-interval", "50ms", store=server.flags)
    assert a.alive() and "not reached yet" in a.text()
    wait_for(lambda: not ready(a)[0], "the aggregator to notice")
    p = pusher(a)
    p.push()
    # What was taken in outlives the aggregator as well.
    assert a.stop() == 1 and "wal-server" in a.text()
    a = start_aggregator("a", store=server.flags)
    p.use(a)
    p.push()
    server.start()
    wait_for(lambda: ready(a)[0], "the aggregator to be ready")
    wait_for(lambda: stored(server) == 2 * TOTAL, "the rows that waited")
    assert total(a) == 2 * TOTAL
    assert a.stop() == 0
    a = start_aggregator("a", store=server.flags)
    assert total(a) == 2 * TOTAL
    assert a.stop() == 0


def recalled(aggregator):
    return sum(metric(aggregator, f'aperture_query_recalled_total{{part="{part}"}}') for part in ("all", "middle"))


def test_two_aggregators_share_a_server(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    both = [start_aggregator(name, "--flush-interval", "50ms", store=server.flags) for name in "ab"]
    for a in both:
        p = pusher(a)
        p.push()
        p.push()
    wait_for(lambda: stored(server) == 4 * TOTAL, "all rows")
    assert int(server.ask("SELECT uniqExact(bitShiftRight(segment, 40)) FROM samples")) == 2
    for a in both:
        assert total(a) == 4 * TOTAL
        assert metric(a, "aperture_store_peers") == 1
    # Who is alone there keeps what it is told.
    assert both[0].stop() == 0
    wait_for(lambda: total(both[1]) == 4 * TOTAL and metric(both[1], "aperture_store_peers") == 0, "the other's leave")
    wait_for(lambda: total(both[1]) == 4 * TOTAL and recalled(both[1]) > 0, "an answer that was kept")
    assert both[1].stop() == 0
    # Each goes on where it was.
    both = [start_aggregator(name, "--flush-interval", "50ms", store=server.flags) for name in "ab"]
    for a in both:
        pusher(a).push()
    wait_for(lambda: stored(server) == 6 * TOTAL, "all rows")
    for a in both:
        assert total(a) == 6 * TOTAL
        assert a.stop() == 0


def refusal(folder, *flags):
    """The one line that an aggregator ends with."""
    run = subprocess.run([AGGREGATOR, "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0",
                          "--data-dir", folder / "data", *flags],
                         capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0 and run.stdout == ""
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1, run.stderr
    return lines[0]


def test_refusals_say_what_to_do(start_clickhouse, tmp_path):
    server = start_clickhouse()
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse\n")
    line = refusal(tmp_path, "--clickhouse-url", server.url, "--clickhouse-user", "tester",
                   "--clickhouse-password-file", wrong)
    assert "--clickhouse-password-file" in line and "horse" not in line
    line = refusal(tmp_path, "--clickhouse-url", server.url, "--clickhouse-user", "nobody")
    assert "--clickhouse-user" in line
    line = refusal(tmp_path, "--clickhouse-url", server.url, "--clickhouse-user", "reader",
                   "--clickhouse-database", "elsewhere")
    assert "elsewhere" in line and "--clickhouse-database" in line
    line = refusal(tmp_path, *server.flags, "--clickhouse-database", "a; DROP")
    assert "--clickhouse-database" in line
    line = refusal(tmp_path, "--clickhouse-url", "http://tester:horse@127.0.0.1:1")
    assert "--clickhouse-user" in line and "horse" not in line
    line = refusal(tmp_path, "--clickhouse-url", server.url,
                   "--clickhouse-password-file", tmp_path / "none")
    assert str(tmp_path / "none") in line


def test_something_else_listens_there(start_aggregator, tmp_path):
    other = start_aggregator()
    line = refusal(tmp_path, "--clickhouse-url", other.url)
    assert "not a ClickHouse server" in line and "--clickhouse-url" in line


@pytest.fixture
def tls(start_clickhouse, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = start_clickhouse(scheme="https", more=(
        f"<openSSL><server><certificateFile>{certificate}</certificateFile>"
        f"<privateKeyFile>{key}</privateKeyFile><verificationMode>none</verificationMode>"
        "<loadDefaultCAFile>false</loadDefaultCAFile></server></openSSL>"))
    server.certificate = certificate
    return server


def test_tls_is_verified(tls, start_aggregator, pusher, tmp_path):
    line = refusal(tmp_path, *tls.flags)
    assert "--clickhouse-ca" in line
    a = start_aggregator("a", "--flush-interval", "50ms", "--clickhouse-ca", tls.certificate, store=tls.flags)
    pusher(a).push()
    wait_for(lambda: ready(a)[0] and total(a) == TOTAL, "the rows")
    context = ssl.create_default_context(cafile=tls.certificate)
    request = urllib.request.Request(
        tls.url + "/?database=aperture", b"SELECT sum(count) FROM samples",
        {"X-ClickHouse-User": "tester", "X-ClickHouse-Key": tls.password_file.read_text().rstrip("\n")})

    def rows():
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.read() == f"{TOTAL}\n".encode()

    wait_for(rows, "the rows in the server")
    assert a.stop() == 0


def test_inserts_that_a_paused_server_had_received(start_clickhouse, start_aggregator, pusher):
    """The aggregator is killed while its insert waits there, and its successor asks what is stored."""
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=server.flags)
    p = pusher(a)
    p.push()
    wait_for(lambda: stored(server) == TOTAL, "the rows")
    server.pause()
    p.push()
    wait_for(lambda: waiting_bytes(server) > 0, "the insert to be there")
    a.process.kill()
    a.process.wait()
    a = start_aggregator("a", "--flush-interval", "10ms", store=server.flags)
    server.resume()
    wait_for(lambda: ready(a)[0] and stored(server) >= 2 * TOTAL, "the rows")
    assert total(a) == 2 * TOTAL
    batches = "SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger"
    wait_for(lambda: server.ask(batches) == "2\t2", "the ledger")
    assert stored(server) == 2 * TOTAL
    assert a.stop() == 0


def waiting_bytes(server):
    """What the server has been sent and has not read, of all connections."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(int(row[4].split(":")[1], 16) for row in rows
               if row[1].endswith(f":{server.port:04X}") and row[3] == "01")
