#!/usr/bin/env python3
"""Runs the tests that failed in a run of `cargo test` once more, each suite alone.

Stories over real sockets share two cores with each other, and one in some thousands loses a race against
the machine. A test that fails twice is broken: this ends with 1. One that passes now is told by name at the
end of the run, as unsteady, so that somebody mends it. More than a handful is no accident: nothing is run
again then, and neither is anything that did not end by itself (a crash, an error of the compiler).

usage: again.py LOG
"""

import re
import subprocess
import sys

MOST = 6


def failed_tests(lines):
    """Names of failed tests, a list for each suite that failed, in the order of the suites."""
    suites, names, is_list = [], [], False
    for line in lines:
        if line == "failures:":
            # The list of names comes last; what the tests printed comes under the same word.
            names, is_list = [], True
        elif is_list and line.startswith("    "):
            names.append(line.strip())
        elif line.startswith("test result: FAILED"):
            suites.append(names)
            names, is_list = [], False
        elif is_list and line and not line.startswith("    "):
            is_list = False
    return suites


def failed_targets(lines):
    """How cargo names the targets that failed."""
    found = [re.fullmatch(r"    `(-p .*)`", line) for line in lines]
    return [match.group(1).split() for match in found if match]


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    suites, targets = failed_tests(lines), failed_targets(lines)
    count = sum(map(len, suites))
    if len(suites) != len(targets) or not all(suites) or not 0 < count <= MOST:
        print(f"not run again: {len(targets)} targets and {count} tests failed")
        return 1
    for target, names in zip(targets, suites):
        command = ["cargo", "test", *target, "--", "--exact", "--test-threads=1", *names]
        print("once more:", " ".join(command), flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            return 1
    for target, names in zip(targets, suites):
        for name in names:
            print(f"UNSTEADY: {' '.join(target)} {name} failed once and passed alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
