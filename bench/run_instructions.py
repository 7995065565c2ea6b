# SPDX-License-Identifier: MIT
"""
Instructions per round, counted by valgrind's cachegrind in programs that run a shard on the kernel
in plain memory (tests/support/fake_kernel.h): the same on every machine with the same compiler, so
that two revisions of the library can be held against each other exactly.

Scenarios and fake kernel are the working tree's for both; the library is built from its sources
with the flags of a release. A figure is the difference between two runs, one of twice as many
rounds as the other: what happens once drops out. "library" are the instructions of its own files
and of what it inlines from liburing; "all" counts the scenario, the fake kernel and the C library,
too.
"""

import concurrent.futures
import glob
import os
import shutil
import subprocess
import tempfile

from run_process import Failed
from run_report import table

HERE = os.path.dirname(os.path.realpath(__file__))
TREE = os.path.dirname(HERE)
ROUNDS = 9600  # a multiple of 100 and of 16
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE=1", "-DOURO_CHECKED=0", "-DOURO_BUILDING=1", "-O2", "-g",
         "-fvisibility=hidden", "-fstack-clash-protection", "-ftls-model=initial-exec"]


def command(words, **more):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=600, check=False, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{words[0]}: {error}") from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: status {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def liburing():
    own = os.path.join(TREE, ".deps", "liburing")
    if os.path.exists(os.path.join(own, "lib", "liburing.a")):
        return ["-isystem", os.path.join(own, "include")], [os.path.join(own, "lib", "liburing.a")]
    return (command(["pkg-config", "--cflags", "liburing"]).split(),
            command(["pkg-config", "--libs", "liburing"]).split())


def liburing_headers():
    flags = [flag.removeprefix("-I") for flag in liburing()[0]]
    return os.path.realpath(flags[-1]) if flags else "/usr/include/liburing"


def compiler():
    cc = os.environ.get("CC", "cc").split()
    return (["ccache"] if shutil.which("ccache") else []) + cc


def build(tree, directory):
    """Builds the library of `tree` with the scenarios of this one; returns the program."""
    include, libraries = liburing()
    flags = FLAGS + [f"-I{tree}/include", f"-I{tree}/src", f"-I{TREE}/tests", f"-I{HERE}"] + include
    sources = [path for kind in ("c", "S")
               for path in glob.glob(os.path.join(tree, "src", "**", "*." + kind), recursive=True)]
    sources += glob.glob(os.path.join(HERE, "instructions", "*.c"))
    sources += glob.glob(os.path.join(TREE, "tests", "support", "fake_*.c"))
    objects = [os.path.join(directory, f"{i}.o") for i in range(len(sources))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda pair: command(compiler() + flags + ["-c", pair[0], "-o", pair[1]]),
                      zip(sorted(sources), objects)))
    program = os.path.join(directory, "bench-instructions")
    command(compiler()[-1:] + ["-o", program] + objects + libraries +
            ["-lhwloc", "-lnuma", "-lpthread", "-lm"])
    return program


def count_file(path, inside):
    """Instructions (of files that begin with one of `inside`, of all)."""
    ours = everything = 0
    mine = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("fl="):
                mine = line[3:].startswith(inside)
            elif line[:1].isdigit():
                n = int(line.split()[1])
                everything += n
                ours += n if mine else 0
    return ours, everything


def count(program, tree, scenario, rounds):
    out = f"{program}.{scenario}.{rounds}"
    command(["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={out}",
             program, scenario, str(rounds)])
    return count_file(out, (tree + "/src/", tree + "/include/", liburing_headers()))


def per_round(program, tree, scenario):
    less = count(program, tree, scenario, ROUNDS)
    more = count(program, tree, scenario, 2 * ROUNDS)
    return [(b - a) / ROUNDS for a, b in zip(less, more)]


def unpack(revision, directory):
    """The sources of a revision: an archive leaves no trace in the repository."""
    archive = os.path.join(directory, "tree.tar")
    command(["git", "-C", TREE, "archive", "-o", archive, revision, "src", "include"])
    command(["tar", "-C", directory, "-xf", archive])
    return directory


def scenarios(program, only):
    for line in command([program]).splitlines():
        name, what = line.split("\t")
        if not only or only.search(f"instructions/{name}"):
            yield name, what


def run(options, report):
    if not shutil.which("valgrind"):
        raise Failed("valgrind is needed to count instructions")
    failures, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="ouro-instructions-") as directory:
        directory = os.path.realpath(directory)  # as the debugging information spells it
        trees = [TREE]
        if options.against:
            os.mkdir(os.path.join(directory, "other"))
            trees.append(unpack(options.against, os.path.join(directory, "other")))
        programs = []
        for i, tree in enumerate(trees):
            os.mkdir(os.path.join(directory, str(i)))
            programs.append(build(tree, os.path.join(directory, str(i))))
        for name, what in scenarios(programs[0], options.only):
            library, everything = per_round(programs[0], trees[0], name)
            row = [name, what, f"{library:.1f}", f"{everything:.1f}"]
            figures = {"library": library, "all": everything}
            if options.against:
                before, before_all = per_round(programs[1], trees[1], name)
                ratio = library / before
                failures += options.limit is not None and ratio > options.limit
                row += [f"{before:.1f}", f"{before_all:.1f}", f"{ratio:.4f}",
                        f"{everything / before_all:.4f}"]
                figures |= {"library-before": before, "ratio": ratio}
            rows.append(row)
            for metric, value in figures.items():
                report.add(bench="instructions", parameter=name, metric=metric, value=value,
                           unit="ratio" if metric == "ratio" else "instructions/round")
    print("\ninstructions per round" + (f", against {options.against}" if options.against else ""))
    table(["scenario", "round", "library", "all"] +
          (["library then", "all then", "ratio", "ratio of all"] if options.against else []), rows)
    return failures
