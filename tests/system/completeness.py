"""Whether a stack is complete, judged by its outermost frame and not by the word of whoever walked it.

A stack is complete when its outermost frame is where the system starts a program or a thread: known
by name (`_start`, `clone3`, `runtime.goexit` …), or in stripped files by place: the entry point of
an ELF file (of a program or of ld.so), or code whose unwind information, as readelf prints it, says
that it has no caller (an undefined return address: glibc's clone and clone3)."""

import bisect
import collections
import dataclasses
import functools
import json
import re
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNEL, INLINED = 1, 3  # enum ap_frame_kind

ROOT_NAMES = {
    "_start", "main", "__libc_start_call_main", "__libc_start_main", "__libc_start_main_impl",
    "clone", "clone3", "__clone", "__clone3", "start_thread",
    "_dl_start", "_dl_start_user",
    # Go ends its own tracebacks at these.
    "runtime.goexit", "runtime.mstart", "runtime.mcall", "runtime.morestack", "runtime.clone", "runtime.rt0_go",
    "_rt0_amd64", "_rt0_amd64_linux",
}
# A period in one of these is the kernel's own: the program's registers or memory are being replaced
# or are gone, so there is no user stack to be had.
NO_PROGRAM = {"begin_new_exec", "load_elf_binary", "exec_mmap", "do_exit", "exit_mmap", "mmput"}
ENTRY_BYTES = 64  # _start, and ld.so's _start with _dl_start_user, are shorter


def names(list_name):
    """Number → name of a list in errors.def."""
    text = (ROOT / "src/abi/errors.def").read_text()
    return {int(number): name for number, name in
            re.findall(rf'^{list_name}\(\w+, (\d+), "(\w+)"', text, re.M)}


REASONS = names("AP_REASON")


@functools.cache
def elf_entry(path):
    """(virtual address of the entry point, executable segments as (address, file offset, bytes));
    None for what is no ELF file of 64 bits."""
    try:
        data = Path(path).open("rb")
    except OSError:
        return None
    with data:
        head = data.read(64)
        if len(head) < 64 or head[:5] != b"\x7fELF\x02":
            return None
        entry, table = struct.unpack_from("<QQ", head, 24)
        size, count = struct.unpack_from("<HH", head, 54)
        data.seek(table)
        rows = data.read(size * count)
    segments = []
    for i in range(count):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", rows, i * size)
        if kind == 1 and flags & 1:
            segments.append((address, offset, length))
    return entry, segments


@functools.cache
def callerless(path):
    """Sorted (start, end) of the functions that have no caller, by the unwind information of a C
    library; empty for other files, of which only the entry point is asked."""
    if not re.fullmatch(r"(libc|libpthread)([-.].*)?", Path(path).name):
        return []
    text = subprocess.run(["readelf", "--debug-dump=frames,no-follow-links", path], capture_output=True,
                          text=True, check=True).stdout
    found, here = [], None
    for line in text.splitlines():
        head = re.search(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", line)
        if head:
            here = (int(head[1], 16), int(head[2], 16))
        elif " CIE" in line:
            here = None
        elif here and re.search(r"DW_CFA_undefined: r16", line):
            found.append(here)
    return sorted(set(found))


def is_root(name, path, address):
    """Whether nothing calls the code at `address` (as in the file) of the ELF file `path`."""
    if re.sub(r"(\.abi0|\.abiinternal|@@?\w.*)$", "", name) in ROOT_NAMES:
        return True
    found = elf_entry(path) if path.startswith("/") else None
    if not found:
        return False
    if 0 <= address - found[0] < ENTRY_BYTES:
        return True
    ranges = callerless(path)
    i = bisect.bisect(ranges, (address, 1 << 64)) - 1
    return i >= 0 and ranges[i][0] <= address <= ranges[i][1]


@dataclasses.dataclass(frozen=True)
class Frame:
    name: str  # "" = no symbol
    path: str
    address: int  # as in the file
    kernel: bool
    inlined: bool = False  # into the next outer one

    def __str__(self):
        place = f"{Path(self.path).name or '?'}+{self.address:#x}"
        return f"{self.name} ({place})" if self.name else place


@dataclasses.dataclass
class Stack:
    frames: tuple  # outermost first, the kernel's last
    count: int
    reason: str
    labels: dict
    time: int = 0  # Unix, ns

    @functools.cached_property
    def user(self):
        return [f for f in self.frames if not f.kernel]

    @property
    def outermost(self):
        return self.user[0] if self.user else None

    def in_user_code(self):
        return not any(f.kernel and f.name in NO_PROGRAM for f in self.frames)

    def complete(self):
        root = self.outermost
        return bool(root) and is_root(root.name, root.path, root.address)

    def named(self):
        """Whether each frame is that of a file or of code that a runtime made."""
        return all(f.name or f.path for f in self.frames)


def profile_stacks(path):
    """The stacks of a json file of `aperture record`."""
    data = json.loads(Path(path).read_bytes())
    text, rows = data["strings"], data["frames"]
    frames = [Frame(text[data["functions"]["name"][function]], text[data["mappings"]["path"][mapping]],
                    address, kind == KERNEL, kind == INLINED)
              for function, mapping, address, kind in
              zip(rows["function"], rows["mapping"], rows["offset"], rows["kind"])]

    def lists(object_, size, *members):
        at = 0
        for n in data[object_][size]:
            yield [data[object_][m][at:at + n] for m in members]
            at += n

    labels = [{text[k]: text[v] for k, v in zip(*pair)} for pair in lists("label_sets", "size", "key", "value")]
    stacks = [tuple(frames[f] for f in s[0]) for s in lists("stacks", "depth", "frames")]
    samples = data["samples"]
    return [Stack(stacks[stack], count, REASONS[data["stacks"]["reason"][stack]], labels[label], time)
            for stack, label, count, time in
            zip(samples["stack"], samples["label_set"], samples["count"], samples["time_ns"])]


def settled(stacks, seconds):
    """Those from so long after the first on."""
    begin = min(s.time for s in stacks) + int(seconds * 1e9)
    return [s for s in stacks if s.time >= begin]


def forget_bpf_symbols(path):
    """Overwrites the types of a perf.data file's records of BPF programs, over which perf
    6.1 fails ("failed to process type: 17") when the programs are gone. Nothing else needs them."""
    symbols, harmless = (17, 18), 82  # PERF_RECORD_KSYMBOL, _BPF_EVENT; PERF_RECORD_FINISHED_INIT
    with Path(path).open("r+b") as f:
        # struct perf_file_header: magic, size, attr_size, then {offset, size} of attrs and of data
        at, size = struct.unpack_from("<QQ", f.read(56), 40)
        end = at + size
        while at < end:
            f.seek(at)
            kind, _, length = struct.unpack("<IHH", f.read(8))
            assert length >= 8, f"{path}: a record of {length} bytes at {at}"
            if kind in symbols:
                f.seek(at)
                f.write(struct.pack("<I", harmless))
            at += length


def perf_script(path, *args):
    done = subprocess.run(["perf", "script", "-i", path, "--no-inline", *args], capture_output=True, text=True,
                          errors="replace")
    assert done.returncode == 0, f"perf script: {done.returncode}: {done.stderr[-1000:]}"
    return done.stdout


def perf_stacks(path):
    """The stacks of a file of `perf record`, as perf itself unwinds them."""
    forget_bpf_symbols(path)
    found = []
    for block in perf_script(path, "-F", "comm,pid,tid,event,ip,sym,dso").split("\n\n"):
        lines = block.strip("\n").splitlines()
        head = re.match(r"\s*(.*?)\s+(\d+)/\d+\s+\S+:", lines[0]) if lines else None
        if not head:
            continue
        frames = tuple(perf_frame(line) for line in reversed(lines[1:]) if line.strip())
        found.append(Stack(frames, 1, "incomplete", {"comm": head[1], "pid": head[2]}))
    return found


def perf_lost(path):
    """How many samples perf says that it could not write."""
    text = perf_script(path, "--show-lost-events", "-F", "event")
    return sum(int(n) for n in re.findall(r"PERF_RECORD_LOST\w* lost (\d+)", text))


def perf_frame(line):
    """Of a line `offset name (file)`, where the offset is one in the file."""
    offset, name, path = re.match(r"\s*([0-9a-f]+) (.*) \((.*)\)$", line).groups()
    kernel = path.startswith("[") and path not in ("[vdso]", "[unknown]", "[stack]", "[heap]")
    elf = elf_entry(path) if path.startswith("/") else None
    address = int(offset, 16)
    for start, at, length in elf[1] if elf else []:
        if at <= address < at + length:
            address += start - at
            break
    return Frame("" if name == "[unknown]" else name, path, address, kernel)


@dataclasses.dataclass
class Result:
    """What became of the periods of one program."""
    samples: int = 0  # all
    user: int = 0  # those with a program to be walked
    complete: int = 0
    named: int = 0  # complete, and every frame has a name or a file
    claimed: int = 0  # not complete, though the walker says so
    frames: int = 0  # user frames of `user`
    reasons: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    ends: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    @property
    def depth(self):
        return self.frames / self.user if self.user else 0.0

    def problems(self, most=12):
        """Where the incomplete ones end: count, reason, outermost frame, leaf."""
        return [f"{n:6} {what}" for what, n in self.ends.most_common(most)]


def judge(stacks):
    result = Result()
    for s in stacks:
        result.samples += s.count
        if not s.in_user_code():
            continue
        result.user += s.count
        result.frames += s.count * len(s.user)
        if s.complete():
            result.complete += s.count
            result.named += s.count * s.named()
        else:
            result.claimed += s.count * (s.reason == "ok")
            result.reasons[s.reason] += s.count
            result.ends[where_it_ends(s)] += s.count
    return result


def where_it_ends(stack):
    leaf = stack.user[-1] if stack.user else f"{stack.frames[-1].name}_[k]" if stack.frames else "nothing"
    return (f"{stack.reason}: {len(stack.user)} frames, outermost {stack.outermost}, leaf {leaf}, "
            f"in {stack.labels.get('comm')}")


def read_ledger(path):
    """(name → periods lost, idle and other programs' periods aside; elapsed periods; seconds), having
    checked that the ledger closes."""
    ledger = json.loads(Path(path).read_text())
    lost, stages = collections.Counter(), ledger["stages"]
    for stage in stages:
        assert stage["balance"] == 0, stage
        for loss in stage["losses"]:
            if loss["name"] not in ("idle", "filtered"):
                lost[loss["name"]] += loss["count"]
    return +lost, stages[0]["in"]["count"], ledger["duration_s"]
