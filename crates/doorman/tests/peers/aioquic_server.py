"""An HTTP/3 origin that others wrote: aioquic. Says its port, then answers by path until its input ends.

usage: aioquic_server.py CERTIFICATE KEY
"""

import asyncio
import hashlib
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated


class Origin(QuicConnectionProtocol):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http = None
        self.asked = {}

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        if self.http is None:
            return
        for told in self.http.handle_event(event):
            if isinstance(told, HeadersReceived) and told.stream_id not in self.asked:
                self.asked[told.stream_id] = [dict(told.headers), b""]
            elif isinstance(told, DataReceived):
                self.asked[told.stream_id][1] += told.data
            else:
                # Trailers.
                self.asked[told.stream_id][0].update(told.headers)
            if told.stream_ended:
                self.answer(told.stream_id, *self.asked.pop(told.stream_id))

    def answer(self, stream, fields, content):
        path = fields[b":path"]
        say = self.http.send_headers
        if path == b"/hints":
            say(stream, [(b":status", b"103"), (b"link", b"</style.css>; rel=preload")])
        if path.startswith(b"/large/"):
            body = bytes(n % 251 for n in range(int(path[7:])))
        else:
            body = hashlib.sha256(content).hexdigest().encode()
        head = [
            (b":status", b"404" if path == b"/missing" else b"200"),
            (b"content-type", b"text/plain"),
            (b"x-method", fields[b":method"]),
            (b"x-authority", fields[b":authority"]),
            (b"x-length", str(len(content)).encode()),
            (b"x-trailer", fields.get(b"x-sum", b"none")),
        ]
        is_head = fields[b":method"] == b"HEAD"
        say(stream, head, end_stream=is_head)
        if not is_head:
            has_trailers = path == b"/trailers"
            self.http.send_data(stream, body, end_stream=not has_trailers)
            if has_trailers:
                say(stream, [(b"grpc-status", b"0")], end_stream=True)
        self.transmit()


async def main():
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await serve(
        "127.0.0.1", 0, configuration=configuration, create_protocol=Origin
    )
    print(server._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
