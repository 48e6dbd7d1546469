#!/usr/bin/env python3
"""Runs scripts of tlsfuzzer against doorman, and holds what they find against what is known.

    run_tlsfuzzer.py TLSFUZZER DOORMAN [SCRIPT...]

TLSFUZZER is a copy of the repository https://github.com/tlsfuzzer/tlsfuzzer, DOORMAN the program. The
interpreter needs `tlslite-ng==0.9.0b2` and `kyber-py` of PyPI; `openssl` must be installed. Prints a line of
a Markdown table for each script, and exits with 1 where a case failed that has no reason in the table below,
or where a reason has become idle.

The scripts stay outside of this repository: they are under the GPL and not on PyPI.
"""

import concurrent.futures
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tlsfuzzer_cases import SCRIPTS

# A script with thousands of cases runs a sample of its own choice.
PATIENCE_SECONDS = 300
AT_A_TIME = 2

CONFIGURATION = """doorman 1
global {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 2 }}
site https://*:{rsa} {{ tls cert rsa.pem key rsa.key; respond 200 hello }}
site https://*:{ecdsa} {{ tls cert ecdsa.pem key ecdsa.key; respond 200 hello }}
site https://localhost:{named} {{ tls cert rsa.pem key rsa.key; respond 200 hello }}
site https://*:{asking} {{
    tls cert rsa.pem key rsa.key {{ client-auth optional ca ca.pem }}
    respond 200 hello
}}
"""


def as_ecdhe():
    """Most scripts for TLS 1.2 were written for RSA key exchange and CBC, which no careful server has. What
    they test lies elsewhere, so they are played with ECDHE and AES-GCM: under the old suites' names."""
    from tlslite.constants import CipherSuite, ExtensionType, GroupName, SignatureScheme
    from tlslite.extensions import SignatureAlgorithmsExtension, SupportedGroupsExtension
    from tlsfuzzer.expect import ExpectCertificate, ExpectServerHelloDone, ExpectServerKeyExchange
    from tlsfuzzer.messages import ClientHelloGenerator

    ours = CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    for name in ("RSA", "ECDHE_RSA", "DHE_RSA"):
        setattr(CipherSuite, f"TLS_{name}_WITH_AES_128_CBC_SHA", ours)

    def hello(self, ciphers=None, extensions=None, *more, **named):
        if ours in (ciphers or []):
            extensions = dict(extensions or {})
            groups = SupportedGroupsExtension().create([GroupName.secp256r1, GroupName.x25519])
            extensions.setdefault(ExtensionType.supported_groups, groups)
            schemes = [SignatureScheme.rsa_pss_rsae_sha256, SignatureScheme.rsa_pkcs1_sha256]
            schemes = SignatureAlgorithmsExtension().create(schemes)
            extensions.setdefault(ExtensionType.signature_algorithms, schemes)
        made(self, ciphers, extensions, *more, **named)

    made, ClientHelloGenerator.__init__ = ClientHelloGenerator.__init__, hello

    def child(self, node):
        if isinstance(node, ExpectServerHelloDone):
            self.child = ExpectServerKeyExchange()
            self.child.child = node
        else:
            self.child = node
        return node

    ExpectCertificate.add_child = child


def play(script, arguments):
    """Within a process of its own: one script, with or without the change above."""
    if arguments and arguments[0] == "--as-ecdhe":
        arguments = arguments[1:]
        as_ecdhe()
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def openssl(folder, words):
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


def start(folder, doorman):
    """Certificates, the program, and its ports."""
    for name, kind in [("rsa", "rsa:2048"), ("ca", "rsa:2048"), ("ecdsa", "ec")]:
        curve = "-pkeyopt ec_paramgen_curve:prime256v1" if kind == "ec" else ""
        openssl(
            folder,
            f"req -x509 -newkey {kind} {curve} -nodes -days 30 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost -keyout {name}.key -out {name}.pem",
        )
    (folder / "client.ext").write_text("extendedKeyUsage = clientAuth\n")
    openssl(folder, "req -new -newkey rsa:2048 -nodes -subj /CN=client -keyout client.key -out client.csr")
    openssl(
        folder,
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -extfile client.ext",
    )
    names = ["rsa", "ecdsa", "named", "asking"]
    ports = dict(zip(names, free_ports(len(names))))
    text = CONFIGURATION.format(**ports)
    (folder / "doorman.conf").write_text(text)
    log = (folder / "log").open("wb")
    words = [doorman, "run", "-c", "doorman.conf"]
    process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    for port in ports.values():
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit((folder / "log").read_text())
    return process, ports


def run(script, tlsfuzzer, folder, ports):
    """What a script says: how many of its cases passed, and the names of those that did not."""
    words = [sys.executable, __file__, "--play", str(tlsfuzzer / "scripts" / f"test-{script.name}.py")]
    if script.as_ecdhe:
        words.append("--as-ecdhe")
    words += ["-h", "localhost", "-p", str(ports[script.site])]
    words += [word.format(folder=folder) for word in script.arguments]
    environment = {**os.environ, "PYTHONPATH": str(tlsfuzzer)}
    try:
        done = subprocess.run(
            words,
            cwd=tlsfuzzer,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return script, None, [], "it did not end"
    said = done.stdout.decode(errors="replace")
    passed, lost = (re.search(rf"^{word}: *(\d+)", said, re.M) for word in ("PASS", "FAIL"))
    if not passed or not lost:
        return script, None, [], said
    failed = re.findall(r"^\t(?:'(.*)'|\"(.*)\")$", said.partition("\nFAILED:\n")[2], re.M)
    names = sorted({one or other for one, other in failed})
    return script, (int(passed[1]), int(passed[1]) + int(lost[1])), names, said


def complaint(said, name):
    """What a script says of a case that failed."""
    _, _, rest = said.partition(f"\n{name} ...\n")
    lines = rest.partition(" ...\n")[0].splitlines()
    return next((line for line in reversed(lines) if "Error:" in line), "nothing")


def judge(script, names):
    """The failed cases without a reason, and the reasons without a case."""
    idle = {pattern for pattern, _ in script.known}
    odd = []
    for name in names:
        fits = [pattern for pattern, _ in script.known if re.search(pattern, name)]
        idle -= set(fits)
        if not fits:
            odd.append(name)
    return odd, [] if script.sampled else sorted(idle)


def main(tlsfuzzer, doorman, *chosen):
    tlsfuzzer, doorman = Path(tlsfuzzer).resolve(), str(Path(doorman).resolve())
    scripts = [it for it in SCRIPTS if not chosen or it.name in chosen]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        process, ports = start(Path(folder), doorman)
        try:
            with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
                todo = lambda script: run(script, tlsfuzzer, folder, ports)
                for script, counts, names, said in pool.map(todo, scripts):
                    if counts is None:
                        bad += 1
                        print(f"{script.name}: {said}", file=sys.stderr)
                        continue
                    odd, idle = judge(script, names)
                    bad += bool(odd or idle)
                    for name in odd:
                        why = complaint(said, name)
                        print(f"{script.name}: no reason for {name!r}: {why}", file=sys.stderr)
                    for pattern in idle:
                        print(f"{script.name}: nothing fails as {pattern!r}", file=sys.stderr)
                    passed, total = counts
                    why = "; ".join(reason for _, reason in script.known) or "-"
                    print(f"| `{script.name}` | {passed} of {total} | {why} |", flush=True)
            if process.poll() is not None:
                sys.exit("doorman has ended")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
        log = (Path(folder) / "log").read_text()
        if "panic" in log:
            sys.exit(f"a panic: {log}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        play(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) < 3:
        sys.exit(__doc__)
    else:
        main(*sys.argv[1:])
