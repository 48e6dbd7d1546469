#!/usr/bin/env python3
"""Plays the public suite for HTTP caches through doorman, and holds what it finds against what is known.

    run.py [--suite FOLDER] (--doorman PROGRAM | --peer NAME) [--id TEST]... [--json FILE] [--evidence FOLDER]

FOLDER is a copy of https://github.com/http-tests/cache-tests with its npm needs installed (`npm install`
within it); without it the older package `http-cache-tests` of the npm registry is installed into a temporary
folder. PROGRAM is doorman. Needs Node.js 20 and npm.

Each test that does not pass must stand in `known.txt` with its reason, and each reason must have its test.
What is not as it should be is played once more alone, so that a slow machine makes no news. Prints a table by
category, what has changed, and exits with 1 where anything has. A peer has no list: its table is printed.

`--id` plays only these tests, one by one, and prints all that was sent and received. `--json` writes each
outcome, `--evidence` all that was sent and received for each test that has no reason.
"""

import argparse
import collections
import json
import sys
import tempfile
from pathlib import Path

import servers
import suite

KNOWN = Path(__file__).with_name("known.txt")


def read_known(text, is_package):
    """Lines of `ID OUTCOME REASON`, or `ID OUTCOME/OUTCOME REASON` where the package's form of the test and the
    repository's judge differently."""
    known = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, outcomes, reason = line.split(maxsplit=2)
        if name in known:
            raise SystemExit(f"{KNOWN.name} has {name} twice")
        package, _, repository = outcomes.partition("/")
        known[name] = (package if is_package else repository or package, reason)
    return known


def judge(tests, outcomes, known):
    """What is not as it is known: lines by test. Reasons of tests that this suite lacks are left alone."""
    news = {}
    for name in tests:
        seen = outcomes[name]
        wanted, _ = known.get(name, ("pass", ""))
        if seen != wanted and not (seen in suite.GOOD and wanted in suite.GOOD):
            news[name] = f"{name}: {seen} instead of {wanted}"
    return news


def table(tests, outcomes):
    """A line for each category: of each kind of test how many pass, then what else came out."""
    rows = collections.defaultdict(collections.Counter)
    titles = {}
    for test in tests.values():
        titles[test.category] = test.title
        for category in (test.category, "all"):
            rows[category][test.kind] += 1
            rows[category][test.kind, outcomes[test.id] in suite.GOOD] += 1
            rows[category][outcomes[test.id]] += 1
    titles["all"] = "**All**"
    lines = ["| Category | Required | Optimal | Behaviour | Not judged |", "|---|---:|---:|---:|---:|"]
    for category, title in titles.items():
        row = rows[category]
        cells = [
            f"{row[kind, True]} of {row[kind]}" if row[kind] else "-"
            for kind in ("required", "optimal", "check")
        ]
        odd = [f"{row[it]} {it}" for it in ("dependency", "setup", "retry", "harness", "untested") if row[it]]
        lines.append(f"| {title} | {' | '.join(cells)} | {', '.join(odd) or '-'} |")
    return "\n".join(lines)


def play_all(copy, port, known, evidence):
    """All tests, and again one by one those that are not as they should be."""
    tests = copy.tests()
    results = copy.play(port)
    outcomes = {name: suite.outcome(test, results, tests) for name, test in tests.items()}
    words = {name: result[1] for name, result in results.items() if result is not True}
    if known is None:
        return tests, outcomes, {}, words
    for name in judge(tests, outcomes, known):
        if outcomes[name] == "dependency":
            continue
        seen, said, record = copy.play_one(port, name)
        if seen in suite.GOOD:
            results[name] = True
        elif seen == known.get(name, ("",))[0]:
            # It was the other way when all were played; what it is alone counts.
            results[name] = ["Setup" if seen in ("setup", "retry") else "Assertion", seen]
        else:
            words[name] = said
        if evidence:
            (evidence / f"{name}.txt").write_text(record)
    outcomes = {name: suite.outcome(test, results, tests) for name, test in tests.items()}
    return tests, outcomes, judge(tests, outcomes, known), words


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--suite", type=Path)
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--doorman", type=Path)
    who.add_argument("--peer", choices=servers.PEERS)
    parser.add_argument("--id", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--evidence", type=Path)
    return parser.parse_args()


def main():
    wanted = arguments()
    with tempfile.TemporaryDirectory(prefix="cache-tests-") as folder:
        folder = Path(folder)
        (folder / "suite").mkdir()
        (folder / "server").mkdir()
        copy = suite.Suite(wanted.suite or suite.install(folder / "suite"))
        if wanted.doorman:
            prepare, name = servers.doorman(str(wanted.doorman.resolve())), "doorman"
            known = read_known(KNOWN.read_text(), copy.is_package)
        else:
            prepare, version = servers.PEERS[wanted.peer]
            known, name = None, f"{wanted.peer} {servers.version(version)}"
        if wanted.evidence:
            wanted.evidence.mkdir(parents=True, exist_ok=True)
        copy_name = copy.name()
        origin_port, port = suite.free_ports(2)
        origin = copy.serve(origin_port, folder)
        server = None
        try:
            server = servers.start(prepare, folder / "server", port, origin_port)
            if wanted.id:
                for test in wanted.id:
                    print(copy.play_one(port, test)[2])
                return 0
            tests, outcomes, news, words = play_all(copy, port, known, wanted.evidence)
            if server.poll() is not None:
                log = (folder / "server" / "server.log").read_text(errors="replace")
                raise SystemExit(f"{name} has ended with {server.returncode}:\n{log[-4000:]}")
        finally:
            if server:
                suite.stop(server)
            suite.stop(origin)
        if "panicked at" in (folder / "server" / "server.log").read_text(errors="replace"):
            raise SystemExit((folder / "server" / "server.log").read_text(errors="replace"))
    print(f"{name}, {copy_name}\n\n{table(tests, outcomes)}")
    if wanted.json:
        told = {
            name: {"outcome": outcomes[name], "said": words.get(name, ""), **vars(test)}
            for name, test in tests.items()
        }
        wanted.json.write_text(json.dumps(told, indent=1) + "\n")
    for name, line in sorted(news.items()):
        print(f"{line}: {words.get(name, 'nothing was said')}", file=sys.stderr)
    good = sum(outcome in suite.GOOD for outcome in outcomes.values())
    print(f"\n{good} of {len(outcomes)} pass, {len(news)} are not as they are known")
    return 1 if news else 0


if __name__ == "__main__":
    sys.exit(main())
