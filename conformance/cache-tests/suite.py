"""The suite itself: where it comes from, what is in it, and how it is played.

It stays outside of this repository, under its own licence. Two forms of it exist: the repository
https://github.com/http-tests/cache-tests, and the npm package `http-cache-tests`, which is older and can be
installed where nothing but the package registries can be reached.
"""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

PACKAGE = "http-cache-tests"
VERSION = "0.4.5"
# All tests, 25 at a time, most of them with a pause of 3 seconds.
PATIENCE_SECONDS = 600
# One test with all its pauses.
PATIENCE_FOR_ONE_SECONDS = 60

# What the client prints for a test that it plays alone.
SIGNS = {
    "✅": "pass",
    "⛔️": "fail",
    "⚠️": "optional",
    "Y": "yes",
    "N": "no",
    "🔹": "setup",
    "⁉️": "harness",
    "⚪️": "dependency",
    "↻": "retry",
}
GOOD = ("pass", "yes")


@dataclasses.dataclass
class Test:
    id: str
    category: str
    title: str
    kind: str
    needs: list


def install(folder):
    """Installs the package of the npm registry into a folder of its own."""
    (folder / "package.json").write_text('{"private": true}\n')
    words = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    subprocess.run([*words, f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "node_modules" / PACKAGE


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def await_port(port, process, log):
    for _ in range(400):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}:\n{log.read_text(errors='replace')[-4000:]}")


def stop(process):
    """Ends a process with all that it started."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


class Suite:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        # The newer form has its programs in a folder of their own.
        engine = self.folder / "test-engine"
        self.is_package = not engine.is_dir()
        self.engine = self.folder if self.is_package else engine
        if not (self.engine / "cli.mjs").is_file():
            raise SystemExit(f"{folder} holds no copy of the suite")

    def name(self):
        version = json.loads((self.folder / "package.json").read_text())["version"]
        done = subprocess.run(
            ["git", "log", "-1", "--format=%h of %cs"], cwd=self.folder, capture_output=True, text=True
        )
        is_repository = (self.folder / ".git").exists() and done.returncode == 0
        return f"{PACKAGE} {version}" + (f", {done.stdout.strip()}" if is_repository else "")

    def tests(self):
        lister = Path(__file__).with_name("list.mjs")
        words = ["node", "--no-warnings", str(lister), str(self.folder)]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return {it["id"]: Test(**it) for it in json.loads(done.stdout)}

    def serve(self, port, folder):
        """Starts the origin that the tests steer."""
        log = folder / "origin.log"
        environment = {
            **os.environ,
            "npm_config_protocol": "http",
            "npm_config_port": str(port),
            "npm_config_pidfile": str(folder / "origin.pid"),
        }
        words = ["node", "--no-warnings", str(self.engine / "server" / "server.mjs")]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        await_port(port, process, log)
        return process

    def client(self, port, test, patience):
        environment = {
            **os.environ,
            "npm_config_base": f"http://127.0.0.1:{port}",
            "npm_config_id": test,
            # What the client reads where the other is empty.
            "npm_package_config_id": "",
        }
        words = ["node", "--no-warnings", str(self.engine / "cli.mjs")]
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=patience
        )

    def play(self, port):
        """Plays all tests; what the client says of each: `True`, or a kind of failure and its words."""
        done = self.client(port, "", PATIENCE_SECONDS)
        # A test that could not be set up is told of before the results.
        _, brace, rest = done.stdout.partition("{\n")
        if done.returncode or not brace:
            raise SystemExit(f"the client printed:\n{done.stdout}\n{done.stderr}")
        return json.loads(brace + rest)

    def play_one(self, port, test):
        """Plays one test; its outcome, the client's words, and all that was sent and received."""
        done = self.client(port, test, PATIENCE_FOR_ONE_SECONDS)
        said = re.sub(r"\x1b\[\d+m", "", done.stdout)
        verdict = said.partition("==== Results\n")[2].strip()
        sign, _, words = verdict.partition(" - ")
        return SIGNS.get(sign, "harness"), words, said + done.stderr


def outcome(test, results, tests):
    """What a result means, by the suite's own rule (`determineTestResult`)."""
    result = results.get(test.id)
    if result is None:
        return "untested"
    for need in test.needs:
        if need in tests and outcome(tests[need], results, tests) not in GOOD:
            return "dependency"
    if result is True:
        return "yes" if test.kind == "check" else "pass"
    if result[0] == "Setup":
        return "retry" if result[1] == "retry" else "setup"
    if result[0] == "AbortError":
        return "harness"
    return {"required": "fail", "optimal": "optional", "check": "no"}[test.kind]
