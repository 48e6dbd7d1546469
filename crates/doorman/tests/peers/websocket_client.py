"""A WebSocket client that tries everything and says what came.

    websocket_client.py URL [ROOT]      ROOT: whom to believe
"""

import asyncio
import os
import ssl
import sys

import websockets


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


async def talk(url, context):
    options = {"ssl": context, "subprotocols": ["other", "chat"], "max_size": None}
    for compression in ["deflate", None]:
        async with websockets.connect(url, compression=compression, **options) as socket:
            expect("subprotocol", socket.subprotocol, "chat")
            names = [extension.name for extension in socket.protocol.extensions]
            expect("extensions", names, ["permessage-deflate"] if compression else [])
            large = os.urandom(2_000_000)
            for message in ["", "hello", "ä" * 1000, b"", b"\x00\xff", large, "x" * 300_000]:
                await socket.send(message)
                expect("echo", await socket.recv(), message)
            # A message in pieces arrives as one.
            await socket.send(["a", "b", "c"])
            expect("pieces", await socket.recv(), "abc")
            await (await socket.ping(b"anybody"))
            await socket.send("ping")
            expect("ping", await socket.recv(), "pong came")
    for code in [1000, 1001, 3000, 4999]:
        async with websockets.connect(url, **options) as socket:
            await socket.send(f"close {code}")
            try:
                await socket.recv()
                sys.exit("no close")
            except websockets.ConnectionClosed as closed:
                expect("code", (closed.rcvd.code, closed.rcvd.reason), (code, "as asked"))
    # Many at once, and ours is the close.
    async def once(n):
        async with websockets.connect(url, **options) as socket:
            for m in range(10):
                await socket.send(f"{n} {m}")
                expect("echo", await socket.recv(), f"{n} {m}")

    await asyncio.gather(*(once(n) for n in range(30)))


async def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.create_default_context(cafile=sys.argv[2])
    await asyncio.wait_for(talk(sys.argv[1], context), 60)
    print("all is well")


asyncio.run(main())
