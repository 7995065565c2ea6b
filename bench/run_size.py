# SPDX-License-Identifier: MIT
"""How large programs and libraries are, stripped."""

import os
import subprocess
import sys
import tempfile

from run_report import table


def stripped(path):
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, path], check=True)
        return os.stat(copy.name).st_size


def subjects(find):
    """(name, path); None: not built."""
    library = os.path.join(os.path.dirname(find("ouro-echo") or ""), "..", "lib", "libouro.so")
    yield "ouro-echo, static", find("ouro-echo")
    yield "ouro-echo, shared", find("bench-echo-shared")
    yield "libouro.so", os.path.realpath(library) if os.path.exists(library) else None


def run(options, report, find):
    rows = []
    for name, path in subjects(find):
        if options.only and not options.only.search(f"size/{name}"):
            continue
        if not path:
            print(f"size/{name}: left out, not built", file=sys.stderr)
            continue
        size = stripped(path)
        report.add(bench="size", subject=name, metric="stripped", unit="B", value=size)
        rows.append([name, f"{size:,}"])
    if rows:
        print("\nsize, stripped")
        table(["subject", "bytes"], rows)
    return 0
