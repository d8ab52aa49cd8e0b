"""A ClickHouse server of a test's own: on a free port of the loopback address, with its data in a
folder, as whoever runs the test. It can be killed and started again on the same data and port."""

import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from xml.sax.saxutils import escape

from waiting import wait_for

PROGRAM = shutil.which("clickhouse-server", path=os.environ.get("PATH", "") + ":/usr/sbin")
USER, PASSWORD = "tester", "it's & <secret>"

CONFIG = """<yandex>
<logger><level>warning</level><console>1</console></logger>
<listen_host>127.0.0.1</listen_host>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<users_config>{folder}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>67108864</mark_cache_size>
{more}
</yandex>
"""

USERS = """<yandex>
<profiles><default>{profile}</default><reader><readonly>1</readonly></reader></profiles><quotas><default/></quotas>
<users>
<{user}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></{user}>
<reader><password></password><networks><ip>127.0.0.1</ip></networks>
<profile>reader</profile><quota>default</quota></reader>
</users>
</yandex>
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class ClickHouse:
    def __init__(self, folder, more="", scheme="http", profile=""):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        (self.folder / "config.xml").write_text(CONFIG.format(
            folder=self.folder, more=f"<{scheme}_port>{self.port}</{scheme}_port>{more}"))
        (self.folder / "users.xml").write_text(USERS.format(
            user=USER, password=escape(PASSWORD), profile=profile))
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, f"--config-file={self.folder}/config.xml"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        wait_for(self.listens, "the ClickHouse server")
        return self

    def listens(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.kill()

    def ask(self, sql, database="aperture"):
        """The answer's text, without its last line end."""
        request = urllib.request.Request(
            f"{self.url}/?database={database}", sql.encode(),
            {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode().rstrip("\n")
        except urllib.error.HTTPError as e:
            raise AssertionError(e.read().decode(errors="replace")) from None

    @property
    def flags(self):
        """What an aggregator is told of it."""
        return ("--clickhouse-url", self.url, "--clickhouse-user", USER,
                "--clickhouse-password-file", self.password_file)
