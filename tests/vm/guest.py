"""A virtual machine whose kernel is another than this machine's: Debian's image, emulated in software,
and an initial file system with the programs to be tried, at the same paths as here."""

import base64
import re
import shlex
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
BUSYBOX = Path("/bin/busybox")
QEMU = "qemu-system-x86_64"


def loaded_libraries(program):
    """What the dynamic loader maps for a program; nothing for a static one or a script."""
    r = subprocess.run(["ldd", program], capture_output=True, text=True)
    return {Path(p) for p in re.findall(r"(/\S+) \(0x", r.stdout)}


def cpio_entry(name, mode, data=b""):
    """One entry of the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    name = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    header = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)


def write_initramfs(path, files):
    """`files`, with the libraries that they load; busybox; and the guest's first process."""
    wanted = {BUSYBOX}
    for file in map(Path, files):
        wanted |= {file} | loaded_libraries(file)
    folders = {parent for file in wanted for parent in file.parents if parent != Path("/")}
    with open(path, "wb") as out:
        for folder in sorted(folders):  # a folder sorts before what is in it
            out.write(cpio_entry(str(folder)[1:], 0o040755))
        for file in sorted(wanted):
            out.write(cpio_entry(str(file)[1:], 0o100755, file.read_bytes()))
        out.write(cpio_entry("init", 0o100755, (HERE / "init").read_bytes()))
        out.write(cpio_entry("TRAILER!!!", 0))


def accelerator():
    """QEMU before 8.1 may translate an instruction that another CPU is writing. The kernel writes its own whenever
    a tracepoint is attached to, and such a guest panics or stands still: there one thread is to run both CPUs."""
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.search(r"version (\d+)\.(\d+)", version).groups())
    return f"tcg,thread={'multi' if (major, minor) >= (8, 1) else 'single'}"


class Result(NamedTuple):
    status: int
    out: str
    err: str


class Guest:
    """Runs commands in a virtual machine; ended by stop()."""

    def __init__(self, series, kernel, initramfs, folder):
        self.series = tuple(map(int, series.split(".")))
        self.console = Path(folder) / f"console-{series}.log"
        self.commands, theirs = socket.socketpair()
        self.qemu = subprocess.Popen(
            [QEMU, "-accel", accelerator(), "-cpu", "max", "-smp", "2", "-m", "1G",
             "-nodefaults", "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initramfs,
             "-append", "console=ttyS0 panic=-1 quiet",
             "-serial", f"file:{self.console}",
             "-chardev", f"socket,id=commands,fd={theirs.fileno()}", "-serial", "chardev:commands"],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        self.answers = self.commands.makefile("rb")
        try:
            assert self.answer("booting", 300) == b"ready\n", self.log()
        except BaseException:
            self.stop()
            raise

    def log(self):
        """The console from the kernel's first complaint on, or all of it."""
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        text = re.sub(r"^\[ *\d+\.\d+\] ", "", text, flags=re.MULTILINE)
        complaint = re.search(r"^.*(BUG:|Oops|general protection|WARNING:|rcu:|panic)", text, re.MULTILINE)
        return text[complaint.start():] if complaint else text

    def answer(self, what, seconds):
        self.commands.settimeout(seconds)
        try:
            line = self.answers.readline()
        except TimeoutError:
            self.stop()
            raise AssertionError(f"{what}: no answer within {seconds} s; console:\n{self.log()}") from None
        assert line.endswith(b"\n"), f"{what}: the guest ended; console:\n{self.log()}"
        return line

    def ask(self, command, seconds):
        self.commands.sendall(base64.b64encode(command.encode()) + b"\n")
        return self.answer(command, seconds)

    def run(self, command, seconds=300):
        """Runs a shell command, or a program with its arguments as a list; its status and output."""
        if not isinstance(command, str):
            command = shlex.join(map(str, command))
        answer = self.ask(command, seconds)
        status, out, err = answer.decode().rstrip("\n").split(" ")
        return Result(int(status), *(base64.b64decode(x).decode(errors="replace") for x in (out, err)))

    def stop(self):
        self.commands.close()
        self.qemu.kill()
        self.qemu.wait()
