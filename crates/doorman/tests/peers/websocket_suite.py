"""Runs a suite that others wrote against WebSocket servers, and says what came of each case.

    websocket_suite.py CASES URL...     CASES: ids and globs with commas between, `-` ahead of what is left out

One line of JSON a server: case -> [behaviour, behaviour at the close, code of the close]. The cases are those of
the Autobahn test suite.
"""

import asyncio
import json
import os
import sys

import kosoku


async def run(url, cases):
    wanted = [case for case in cases if not case.startswith("-")]
    unwanted = [case[1:] for case in cases if case.startswith("-")]
    try:
        results = await kosoku.run_fuzzingclient(url, wanted or None, unwanted or None, concurrency=4)
    except kosoku.FailureError as failure:
        results = failure.results
    return {
        result.case_id: [result.behavior.value, result.behavior_close.value, result.remote_close_code]
        for result in results
    }


async def main():
    cases = [case for case in sys.argv[1].split(",") if case]
    for url in sys.argv[2:]:
        print(json.dumps(await run(url, cases)), flush=True)


asyncio.run(main())
# The suite's threads may abort the interpreter while it tidies up; all has been said by now.
sys.stdout.flush()
os._exit(0)
