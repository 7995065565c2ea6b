# SPDX-License-Identifier: MIT
"""Statistics, the file of JSON lines, and tables."""

import json
import math
import statistics


def median_interval(values):
    """(median, low, high): the 95 % interval by order statistics, the whole range below 6."""
    values = sorted(values)
    count, rank, tail = len(values), 0, 0.0
    while rank < count // 2:
        tail += math.comb(count, rank) / 2 ** count
        if tail > 0.025:
            break
        rank += 1
    rank = max(rank, 1)
    return statistics.median(values), values[rank - 1], values[count - rank]


class Report:
    """Collects what was measured; every line is written at once, so that a cut run is not lost."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.lines = []

    def add(self, **line):
        self.lines.append(line)
        if self.file:
            print(json.dumps(line), file=self.file, flush=True)

    def close(self):
        if self.file:
            self.file.close()


def parse_lines(text):
    """The JSON lines in a program's output."""
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def metrics(text):
    return {line["metric"]: line["value"] for line in parse_lines(text)}


def table(head, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths]] + rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def verdict(low, high):
    """A difference inside the interval is no difference."""
    return "equal" if low <= 1 <= high else "better" if low > 1 else "worse"
