#!/usr/bin/env python3
"""Sets what `run.py --json` wrote of several servers side by side, as a table for a page.

    compare.py FILE...

Each cell has how many tests pass, of those that the suite calls required, optimal and checks of behaviour. The
first file's server is held against the others: a line below the table for each category in which another has
more, with the tests that it lacks and that one has.
"""

import collections
import json
import sys
from pathlib import Path

GOOD = ("pass", "yes")
KINDS = ("required", "optimal", "check")


def counts(told):
    found = collections.Counter()
    for test in told.values():
        found[test["category"], test["kind"]] += test["outcome"] in GOOD
        found["all", test["kind"]] += test["outcome"] in GOOD
    return found


def main(files):
    servers = {Path(file).stem: json.loads(Path(file).read_text()) for file in files}
    first = next(iter(servers.values()))
    titles = {test["category"]: test["title"] for test in first.values()} | {"all": "**All**"}
    sizes = collections.Counter()
    for test in first.values():
        sizes[test["category"], test["kind"]] += 1
        sizes["all", test["kind"]] += 1
    found = {name: counts(told) for name, told in servers.items()}
    print(f"| Category | Tests | {' | '.join(servers)} |\n|---|---:|{'---:|' * len(servers)}")
    for category, title in titles.items():
        cell = lambda of: " + ".join(str(of[category, kind]) for kind in KINDS)
        cells = [cell(sizes), *(cell(it) for it in found.values())]
        print(f"| {title} | {' | '.join(cells)} |")
    print()
    name, *others = servers
    for category, title in titles.items():
        for kind in KINDS:
            best = max(others, key=lambda other: found[other][category, kind], default=name)
            lack = found[best][category, kind] - found[name][category, kind]
            if category == "all" or lack <= 0:
                continue
            lost = [
                test
                for test, it in servers[best].items()
                if (it["category"], it["kind"]) == (category, kind)
                and it["outcome"] in GOOD
                and servers[name][test]["outcome"] not in GOOD
            ]
            print(f"- {title}, {kind}: {best} has {lack} more: {', '.join(lost)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
