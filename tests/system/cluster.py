"""A ClickHouse cluster of a test's own: ZooKeeper and servers on free ports of the loopback address, a shard
each unless a test wants replicas. Each server can be killed and started again."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

from clickhouse import PASSWORD, USER, ClickHouse, free_port
from waiting import wait_for

JAVA = shutil.which("java")
JAR = Path("/usr/share/java/zookeeper.jar")
NAME = "prof"
# Tables are made on each server by its own profile there, and to 18.16 LowCardinality is an experiment.
PROFILE = "<allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type>"


class ZooKeeper:
    def __init__(self, folder):
        self.port = free_port()
        folder = Path(folder)
        (folder / "data").mkdir(parents=True)
        (folder / "zoo.cfg").write_text(
            f"tickTime=500\ndataDir={folder}/data\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n")
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [JAVA, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", JAR,
                 "org.apache.zookeeper.server.ZooKeeperServerMain", folder / "zoo.cfg"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, "ZooKeeper")

    def answers(self):
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                s.sendall(b"srvr")
                return b"Mode: standalone" in s.makefile("rb").read()
        except OSError:
            return False

    def pause(self):
        """What servers want to insert is held up from now on, and what they are asked is not."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill()
        self.process.wait()


def configuration(zookeeper, shards, shard, replica, tcp_port, interserver_port):
    """What a server of the cluster has in its configuration beside the rest."""
    hosts = "".join(
        "<shard><internal_replication>true</internal_replication>" + "".join(
            f"<replica><host>127.0.0.1</host><port>{port}</port><user>{USER}</user>"
            f"<password>{escape(PASSWORD)}</password></replica>" for port in ports) + "</shard>"
        for ports in shards)
    return (
        f"<tcp_port>{tcp_port}</tcp_port>"
        f"<interserver_http_host>127.0.0.1</interserver_http_host>"
        f"<interserver_http_port>{interserver_port}</interserver_http_port>"
        f"<zookeeper><node><host>127.0.0.1</host><port>{zookeeper.port}</port></node>"
        "<session_timeout_ms>10000</session_timeout_ms></zookeeper>"
        "<distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>"
        f"<macros><shard>{shard}</shard><replica>{replica}</replica></macros>"
        f"<remote_servers><{NAME}>{hosts}</{NAME}></remote_servers>")


class Cluster:
    """`replicas`: of each shard."""

    name = NAME

    def __init__(self, folder, replicas=(1, 1)):
        folder = Path(folder)
        self.servers = []  # of each shard, its replicas
        self.zookeeper = ZooKeeper(folder / "zookeeper")
        ports = [[free_port() for _ in range(n)] for n in replicas]
        for i, of_shard in enumerate(ports):
            self.servers.append([
                ClickHouse(folder / f"shard{i + 1}-{k + 1}",
                           more=configuration(self.zookeeper, ports, i + 1, k + 1, port, free_port()),
                           profile=PROFILE)
                for k, port in enumerate(of_shard)])
            for server, port in zip(self.servers[-1], of_shard, strict=True):
                server.tcp_port = port
        for server in self.all():
            server.start()

    def all(self):
        return [server for shard in self.servers for server in shard]

    @property
    def flags(self):
        return (*self.servers[0][0].flags, "--clickhouse-cluster", NAME)

    def stop(self):
        for server in self.all():
            server.stop()
        self.zookeeper.stop()
