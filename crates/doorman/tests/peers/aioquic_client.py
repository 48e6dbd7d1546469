"""Talks HTTP/3 to a server with aioquic, and prints what it saw as one line of JSON a step.

usage: aioquic_client.py PORT STEP...
"""

import asyncio
import hashlib
import json
import ssl
import sys

from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection, Setting
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.headers import build_extension, parse_extension
from websockets.protocol import CLIENT, OPEN, Protocol


class Answer:
    def __init__(self):
        self.heads = []
        self.body = bytearray()
        self.reset = None
        self.done = asyncio.get_running_loop().create_future()

    def end(self):
        if not self.done.done():
            self.done.set_result(None)

    def told(self):
        final = next((h for h in self.heads if int(h[b":status"]) >= 200), {})
        return {
            "status": int(final.get(b":status", b"0")),
            "interim": [int(h[b":status"]) for h in self.heads if 100 <= int(h.get(b":status", b"200")) < 200],
            "trailers": {k.decode(): v.decode() for h in self.heads if b":status" not in h for k, v in h.items()},
            "length": len(self.body),
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "fields": {k.decode(): v.decode() for k, v in final.items()},
            "reset": self.reset,
        }


class Tunnel(Answer):
    """What comes back through a stream that an extended CONNECT opened (RFC 9220)."""

    def __init__(self):
        super().__init__()
        self.news = asyncio.Condition()

    def tell(self):
        async def tell():
            async with self.news:
                self.news.notify_all()

        asyncio.get_running_loop().create_task(tell())

    async def wait(self, ready):
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(ready), 30)


class WebSocket:
    """The library `websockets` on a tunnel: it knows nothing of what carries its bytes."""

    def __init__(self, client, stream, compress):
        self.client, self.stream = client, stream
        self.tunnel = client.answers[stream]
        self.read, self.frames = 0, []
        self.protocol = Protocol(CLIENT, state=OPEN, max_size=None)
        if compress is not None:
            self.protocol.extensions = [compress]

    def flush(self, end=False):
        for bytes_ in self.protocol.data_to_send():
            if bytes_:
                self.client.http.send_data(self.stream, bytes_, end_stream=False)
        if end:
            self.client.http.send_data(self.stream, b"", end_stream=True)
        self.client.transmit()

    async def frame(self, opcode):
        """The next frame, which must be of that kind; other control frames are not skipped."""
        while True:
            self.frames += self.protocol.events_received()
            if self.frames:
                frame = self.frames.pop(0)
                assert frame.opcode == opcode and frame.fin, frame
                return bytes(frame.data)
            await self.tunnel.wait(lambda: len(self.tunnel.body) > self.read or self.tunnel.done.done())
            assert len(self.tunnel.body) > self.read, self.tunnel.told()
            piece = bytes(self.tunnel.body[self.read :])
            self.read += len(piece)
            self.protocol.receive_data(piece)

    async def echo(self, text):
        self.protocol.send_text(text.encode())
        self.flush()
        return (await self.frame(Opcode.TEXT)).decode() == text


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.answers = {}
        self.ended = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if isinstance(event, StreamReset) and event.stream_id in self.answers:
            self.answers[event.stream_id].reset = event.error_code
            self.answers[event.stream_id].end()
            if isinstance(self.answers[event.stream_id], Tunnel):
                self.answers[event.stream_id].tell()
        if isinstance(event, ConnectionTerminated):
            if not self.ended.done():
                self.ended.set_result(event.error_code)
            for answer in self.answers.values():
                answer.end()
        for found in self.http.handle_event(event):
            answer = self.answers.get(found.stream_id)
            if answer is None:
                continue
            if isinstance(found, HeadersReceived):
                answer.heads.append({k: v for k, v in found.headers})
            elif isinstance(found, DataReceived):
                answer.body += found.data
            if found.stream_ended:
                answer.end()
            if isinstance(answer, Tunnel):
                answer.tell()

    def ask(self, method, path, authority, body=b"", trailers=None, more=()):
        stream = self._quic.get_next_available_stream_id()
        self.answers[stream] = Answer()
        head = [(b":method", method), (b":scheme", b"https"), (b":authority", authority), (b":path", path)]
        ends = not body and trailers is None
        self.http.send_headers(stream, head + list(more), end_stream=ends)
        if body:
            self.http.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            self.http.send_headers(stream, trailers, end_stream=True)
        self.transmit()
        return self.answers[stream]

    async def websocket(self, path, authority, compress):
        """Opens a WebSocket; the socket, and what was said of it."""
        while self.http.received_settings is None:
            await self.ping()
        said = self.http.received_settings.get(Setting.ENABLE_CONNECT_PROTOCOL)
        stream = self._quic.get_next_available_stream_id()
        tunnel = self.answers[stream] = Tunnel()
        factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
        head = [
            (b":method", b"CONNECT"),
            (b":protocol", b"websocket"),
            (b":scheme", b"https"),
            (b":authority", authority),
            (b":path", path),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-protocol", b"other, chat"),
        ]
        if compress:
            offer = build_extension([(factory.name, factory.get_request_params())])
            head.append((b"sec-websocket-extensions", offer.encode()))
        self.http.send_headers(stream, head, end_stream=False)
        self.transmit()
        await tunnel.wait(lambda: tunnel.heads or tunnel.done.done())
        told = tunnel.told()
        agreed = told["fields"].get("sec-websocket-extensions")
        extension = None
        if agreed:
            [(name, parameters)] = parse_extension(agreed)
            assert name == factory.name, agreed
            extension = factory.process_response_params(parameters, [])
        return WebSocket(self, stream, extension), dict(told, offered=said, compressed=bool(agreed))

    async def answer(self, *args, **kwargs):
        answer = self.ask(*args, **kwargs)
        await asyncio.wait_for(answer.done, 60)
        return answer.told()


def configuration(ticket=None, tickets=None):
    chosen = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    chosen.verify_mode = ssl.CERT_NONE
    chosen.session_ticket = ticket
    return chosen


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


async def main(port, steps):
    authority = f"localhost:{port}".encode()
    tickets = []

    def line(**more):
        return connect(
            "127.0.0.1",
            port,
            configuration=configuration(**more),
            create_protocol=Client,
            session_ticket_handler=tickets.append,
        )

    async with line() as client:
        for step in steps:
            if step == "get":
                say(step, **await client.answer(b"GET", b"/", authority))
            elif step == "head":
                # Not one with a length: aioquic does not know that there will be no content.
                say(step, **await client.answer(b"HEAD", b"/204", authority))
            elif step == "hints":
                say(step, **await client.answer(b"GET", b"/hints", authority))
            elif step == "trailers":
                say(step, **await client.answer(b"GET", b"/trailers", authority))
            elif step == "post":
                # Compresses with a dynamic table as far as it is let.
                body = bytes(range(256)) * 4 * 1024 * 10
                more = [(b"content-length", str(len(body)).encode()), (b"x-long", b"v" * 300)]
                told = await client.answer(b"POST", b"/echo", authority, body, None, more)
                say(step, sent=len(body), **told)
            elif step == "trail":
                told = await client.answer(b"POST", b"/echo", authority, b"hello", [(b"sum", b"5")])
                say(step, **told)
            elif step == "download":
                say(step, **await client.answer(b"GET", b"/big/10485760", authority))
            elif step == "many":
                asked = [client.ask(b"GET", f"/{n}".encode(), authority) for n in range(100)]
                await asyncio.gather(*(asyncio.wait_for(answer.done, 60) for answer in asked))
                say(step, statuses=sorted({answer.told()["status"] for answer in asked}), count=len(asked))
            elif step == "keys":
                client._quic.request_key_update()
                say(step, **await client.answer(b"GET", b"/", authority))
            elif step == "ids":
                client.change_connection_id()
                say(step, **await client.answer(b"GET", b"/", authority))
            elif step == "malformed":
                told = await client.answer(b"GET", b"/", authority, more=[(b"connection", b"close")])
                say(step, **told)
            elif step == "cut":
                say(step, **await client.answer(b"GET", b"/cut-chunked", authority))
            elif step in ("websocket", "compressed"):
                socket, told = await client.websocket(b"/live", authority, step == "compressed")
                echoed = [await socket.echo(text) for text in ("", "hello", "ä" * 1000, "x" * 300_000)]
                socket.protocol.send_ping(b"anybody")
                socket.flush()
                pong = (await socket.frame(Opcode.PONG)).decode()
                # The server pings, and says what came of it.
                socket.protocol.send_text(b"ping")
                socket.flush()
                ping = (await socket.frame(Opcode.PING)).decode()
                socket.flush()
                ponged = (await socket.frame(Opcode.TEXT)).decode()
                socket.protocol.send_text(b"close 4321")
                socket.flush()
                await socket.frame(Opcode.CLOSE)
                socket.flush(end=True)
                await asyncio.wait_for(socket.tunnel.done, 30)
                close = [socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason]
                told.update(echoed=echoed, pong=pong, ping=ping, ponged=ponged, close=close)
                say(step, **dict(told, reset=socket.tunnel.reset))
            elif step == "resume":
                async with line(ticket=tickets[-1]) as again:
                    told = await again.answer(b"GET", b"/resumed", authority)
                    say(step, resumed=again._quic.tls.session_resumed, **told)


asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
