#!/usr/bin/env python3
"""One JSON line from a `record --ledger` file on standard input:  bench_capture.py HZ SECONDS"""

import json
import os
import sys


def main():
    hz, seconds = int(sys.argv[1]), int(sys.argv[2])
    ledger = json.load(sys.stdin)
    sample = next(s for s in ledger["stages"] if s["stage"] == "sample")
    cost = ledger["cost"]
    shared = cost["map_bytes"] - os.cpu_count() * cost["map_bytes_per_cpu"]
    print(json.dumps({
        "bench": "capture",
        "hz": hz,
        "load_s": seconds,
        "samples": sample["out"]["count"],
        "balance": sample["balance"],
        "bpf_ns_per_run": cost.get("bpf_ns_per_run"),
        "bpf_ns_per_sample": cost.get("bpf_ns_per_sample"),
        "cpu_s": cost["cpu_s"],
        "peak_rss_mib": round(cost["peak_rss_bytes"] / 2**20, 1),
        "map_mib_by_cpus": {n: round((shared + n * cost["map_bytes_per_cpu"]) / 2**20, 2) for n in (2, 64, 256)},
    }, separators=(",", ":")))


if __name__ == "__main__":
    main()
