"""A WebSocket server that sends messages back.

    websocket_server.py PORT [echo]     prints "ready", serves until its standard input ends

A message `close CODE` makes it close with that code, `ping` makes it ping and say what came of it. With `echo` it
does nothing but send back.
"""

import asyncio
import logging
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def serve(socket):
    async for message in socket:
        if isinstance(message, str) and message.startswith("close "):
            return await socket.close(int(message[6:]), "as asked")
        elif message == "ping":
            await (await socket.ping(b"are you there"))
            await socket.send("pong came")
        else:
            await socket.send(message)


async def main():
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    port = int(sys.argv[1])
    handler, subprotocols = (echo, None) if sys.argv[2:] == ["echo"] else (serve, ["chat"])
    options = {"subprotocols": subprotocols, "max_size": None, "ping_interval": None}
    # Errors of clients are what tests are about.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    async with websockets.serve(handler, "127.0.0.1", port, **options):
        print("ready", flush=True)
        await end


asyncio.run(main())
