#!/usr/bin/env python3
"""Names of system calls and errors from the kernel's own headers, as C tables:
   syscall_names.py CC INCLUDE... > names.h
The compiler says what the headers define; one that is missing (32-bit calls on arm64) is an empty table."""

import re
import subprocess
import sys

ABIS = {  # enum ap_syscall_abi, by architecture: name, header, the bit that marks its numbers
    "x86_64": [("NATIVE", "x86-64", "asm/unistd_64.h", 0), ("COMPAT", "i386", "asm/unistd_32.h", 0),
               ("X32", "x32", "asm/unistd_x32.h", 0x40000000)],
    "aarch64": [("NATIVE", "arm64", "asm/unistd.h", 0), ("COMPAT", "arm", None, 0), ("X32", "x32", None, 0)],
}


def macros(cc, header):
    text = subprocess.run([*cc, "-dM", "-E", "-x", "c", "-"], input=f"#include <{header}>\n", text=True,
                          capture_output=True, check=True).stdout
    return dict(m.groups() for m in re.finditer(r"^#define (\w+) (.+)$", text, re.M))


def number(text, known):
    text = re.sub(r"[A-Za-z_]\w*", lambda m: str(number(known[m[0]], known)) if m[0] in known else "0", text)
    return eval(text, {"__builtins__": {}})  # sums of integers


def main():
    arch, cc = sys.argv[1], sys.argv[2:]
    print("/* Made by tools/syscall_names.py. */")
    for abi, name, header, bit in ABIS[arch]:
        known = macros(cc, header) if header else {}
        known["__X32_SYSCALL_BIT"] = "0"
        print(f'#define AP_SYSCALL_{abi}_TEXT "{name}"')
        print(f"static const char *const syscalls_{abi.lower()}[] = {{")
        calls = {number(v, known): k[len("__NR_"):] for k, v in known.items()
                 if k.startswith("__NR_") and k not in ("__NR_syscalls", "__NR_arch_specific_syscall")}
        for n, call in sorted(calls.items()) or [(0, None)]:
            print(f'\t[{n}] = "{call}",' if call else "\t[0] = NULL,")
        print("};")
    errors = macros(cc, "linux/errno.h")
    print("static const char *const errors[] = {")
    # Where two names have one number, the one that is defined by itself.
    for k, v in errors.items():
        if re.fullmatch(r"E[A-Z0-9]+", k) and v.split()[0].isdigit():
            print(f'\t[{v.split()[0]}] = "{k}",')
    # The kernel's own, which a tracer sees where a signal interrupts a call.
    for n, name in {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND",
                    516: "ERESTART_RESTARTBLOCK"}.items():
        print(f'\t[{n}] = "{name}",')
    print("};")


main()
