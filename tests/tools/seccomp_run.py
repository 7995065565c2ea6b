#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Runs a program under a container's seccomp profile, as a container engine would:
#     seccomp_run.py PROFILE [--without CALL]... [--] PROGRAM [ARGUMENT]...
# Exit status 77: libseccomp's Python module is missing.
import argparse
import json
import os
import sys

try:
    import seccomp
except ImportError:
    sys.exit(77)

ACTIONS = {
    "SCMP_ACT_ALLOW": lambda rule: seccomp.ALLOW,
    "SCMP_ACT_ERRNO": lambda rule: seccomp.ERRNO(rule.get("errnoRet", 1)),
}
COMPARISONS = {"SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ, "SCMP_CMP_EQ": seccomp.EQ}


def conditions(rule):
    for arg in rule.get("args", []):
        op = COMPARISONS[arg["op"]]
        values = [arg["value"], arg["valueTwo"]] if op == seccomp.MASKED_EQ else [arg["value"]]
        yield seccomp.Arg(arg["index"], op, *values)


def install(profile, without):
    default = seccomp.ERRNO(profile["defaultErrnoRet"])
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    f = seccomp.SyscallFilter(default)
    for rule in profile["syscalls"]:
        action = ACTIONS[rule["action"]](rule)
        for name in rule["names"]:
            try:
                number = seccomp.resolve_syscall(seccomp.Arch(), name)
            except (RuntimeError, OSError):
                number = -1
            if number >= 0 and name not in without:  # else: not of this architecture
                f.add_rule(action, number, *conditions(rule))
    f.load()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("profile")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("program", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    program = [a for i, a in enumerate(args.program) if i or a != "--"]
    with open(args.profile, encoding="utf-8") as f:
        install(json.load(f), set(args.without))
    os.execvp(program[0], program)


main()
