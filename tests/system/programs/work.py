# SPDX-License-Identifier: Apache-2.0
"""Pure Python calls, C code that calls back into Python, exceptions, regular expressions, zlib."""

import functools
import itertools
import json
import re
import zlib

TEXT = " ".join(f"word{i % 131} {i:06d}" for i in range(3000))


class Node:
    def __init__(self, depth):
        self.children = [Node(depth - 1) for _ in range(2)] if depth else []

    def total(self):
        return 1 + sum(child.total() for child in self.children)


def compare(a, b):
    return (a * 7919) % 1009 - (b * 7919) % 1009


def failing(depth):
    if depth == 0:
        raise ValueError("the bottom")
    try:
        failing(depth - 1)
    except KeyError:
        return 0


def main():
    while True:
        Node(9).total()
        sorted(range(2000), key=functools.cmp_to_key(compare))
        re.sub(r"(\w+?)(\d+) ", lambda m: m.group(2) + m.group(1), TEXT)
        json.loads(json.dumps(list(itertools.permutations("abcdef", 4))))
        zlib.compress(TEXT.encode(), 9)
        for _ in range(200):
            try:
                failing(20)
            except ValueError:
                pass


main()
