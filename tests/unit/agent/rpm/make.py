#!/usr/bin/env python3
"""Writes databases.tar.xz, rpm's databases in all formats:  tests/unit/agent/rpm/make.py RPM

RPM is an rpm 4.16, the last that writes both ndb and Berkeley DB, configured with --enable-ndb --enable-bdb. It writes
sqlite, ndb and bdb. Berkeley DB's own db5.3_load writes the packages' headers and the index once more as no rpm of
today does: `hash` with a hash table as the index, and `big` of the other byte order, both of the smallest pages. rpmbuild
makes the packages. The versions in `answers` are what that rpm says of each of the five databases."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BACKENDS = {"sqlite": "sqlite", "ndb": "ndb", "bdb": "bdb", "hash": "bdb_ro", "big": "bdb_ro"}
LONG = "long" * 50
WEB = ["/usr/sbin/web", "/usr/share/doc/web/tool", "/etc/web.conf"]
PACKAGES = [
    ("web", "1:1.22.1-9.fc40", WEB),
    ("tool", "0-1", ["/usr/share/tool", "/bin/sh", "/usr/bin/tool"]),
    ("gone", "3-1", ["/usr/bin/gone"]),
    ("many", "2.5-3.el8", [f"/usr/lib/many/{i}/{name}" for i in range(60) for name in ("__init__.py", f"{LONG}{i}")]
     + [f"/usr/lib/many/{i}.so" for i in range(400)] + ["/usr/bin/many"]),
    ("web", "1:1.22.2-1.fc40", WEB),
]
ASKED = sorted({f for _, _, files in PACKAGES for f in files}) + ["/usr/local/bin/tool", "/usr/bin/web", "/usr/sbin/we"]


def run(*command, **kwargs):
    return subprocess.run([str(c) for c in command], check=True, text=True, stdout=subprocess.PIPE, **kwargs).stdout


def build(work, name, evr, files):
    epoch, version = evr.split(":") if ":" in evr else ("", evr)
    version, release = version.split("-")
    spec = work / f"{name}-{version}.spec"
    spec.write_text(
        f"Name: {name}\nVersion: {version}\nRelease: {release}\n" + (f"Epoch: {epoch}\n" if epoch else "")
        + "Summary: says 9.9-9\nLicense: Apache-2.0\nBuildArch: noarch\n%description\nA package.\n%install\n"
        + "".join(f"mkdir -p %{{buildroot}}{f.rpartition('/')[0]}\n: > %{{buildroot}}{f}\n" for f in files)
        + "%files\n" + "".join(f + "\n" for f in files))
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/build", "--define", "_buildhost example.com",
        "--define", "__os_install_post %{nil}", "--define", "use_source_date_epoch_as_buildtime 1", spec,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    return work / f"build/RPMS/noarch/{name}-{version}-{release}.noarch.rpm"


def install(rpm, folder, backend, files):
    rpm = [rpm, "--define", f"_db_backend {backend}", "--dbpath", folder]
    justdb = ["--justdb", "--nodeps"]
    run(*rpm, "--initdb")
    for file in files:
        run(*rpm, "-U", *justdb, "--nosignature", "--nodigest", "--ignorearch", file)
    run(*rpm, "-e", *justdb, "gone")


def load(file, kind, order, records):
    """Berkeley DB's file of these keys and values."""
    lines = ["VERSION=3", "format=bytevalue", f"type={kind}", f"db_lorder={order}", "db_pagesize=512", "HEADER=END"]
    lines += [" " + field.hex() for record in records for field in record] + ["DATA=END", ""]
    run("db5.3_load", file, input="\n".join(lines))


def load_all(database, folder, index_kind, order):
    """What SQLite has."""
    def number(n):
        return n.to_bytes(4, "little" if order == 1234 else "big")

    db = sqlite3.connect(f"file:{database}?immutable=1", uri=True)
    headers = [(number(hnum), blob) for hnum, blob in db.execute("SELECT hnum, blob FROM Packages")]
    load(folder / "Packages", "hash", order, [(number(0), number(len(headers)))] + headers)
    index = {}
    for key, hnum, idx in db.execute("SELECT key, hnum, idx FROM Basenames"):
        index[key] = index.get(key, b"") + number(hnum) + number(idx)
    load(folder / "Basenames", index_kind, order, [(key.encode(), value) for key, value in sorted(index.items())])
    db.close()


def answers(rpm, folder, backend):
    """By path, "-" for no package."""
    lines = []
    for path in ASKED:
        r = subprocess.run([rpm, "--define", f"_db_backend {backend}", "--dbpath", folder, "-qf", "--qf", "%{EVR}", path],
                           capture_output=True, text=True)
        lines.append(f"{path} {r.stdout if r.returncode == 0 else '-'}\n")
    return "".join(lines)


def main(rpm):
    with tempfile.TemporaryDirectory(prefix="aperture-rpm-") as work:
        work, out = Path(work), Path(work) / "out"
        files = [build(work, *package) for package in PACKAGES]
        folders = {name: out / name / "var/lib/rpm" for name in BACKENDS}
        for name, folder in folders.items():
            folder.mkdir(parents=True)
            if name == BACKENDS[name]:
                install(rpm, folder, name, files)
        load_all(folders["sqlite"] / "rpmdb.sqlite", folders["hash"], "hash", 1234)
        load_all(folders["sqlite"] / "rpmdb.sqlite", folders["big"], "btree", 4321)
        said = {answers(rpm, folders[name], backend) for name, backend in BACKENDS.items()}
        assert len(said) == 1, said
        (out / "answers").write_text(said.pop())
        kept = ("rpmdb.sqlite", "Packages.db", "Index.db", "Packages", "Basenames")
        for file in out.rglob("var/lib/rpm/*"):
            if file.name not in kept:
                file.unlink()
        run("tar", "-C", out, "--sort=name", "--owner=0", "--group=0", "--mtime=@1700000000", "-cJf",
            HERE / "databases.tar.xz", *sorted(os.listdir(out)))


if __name__ == "__main__":
    main(*sys.argv[1:])
