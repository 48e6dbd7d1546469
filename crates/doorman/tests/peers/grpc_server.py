"""A gRPC server of calls whose messages are plain bytes.

    grpc_server.py PORT [KEY CHAIN]     prints "ready", serves until its standard input ends
"""

import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Event()


def unary(request, context):
    context.send_initial_metadata((("x-begin", "yes"),))
    context.set_trailing_metadata((("x-end", "of-unary"), ("x-end-bin", b"\x00\xff")))
    return request[::-1]


def refuse(request, context):
    context.set_trailing_metadata((("x-why", "said so"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ä%")


def down(request, context):
    for n in range(int(request)):
        yield b"%d" % n
    context.set_trailing_metadata((("x-end", "of-down"),))


def up(requests, context):
    return b"%d" % sum(len(message) for message in requests)


def both(requests, context):
    for message in requests:
        yield message.upper()


def wait(request, context):
    gone = threading.Event()

    def over():
        gone.set()
        cancelled.set()

    context.add_callback(over)
    gone.wait(20)
    return b"late"


def was_cancelled(request, context):
    return b"yes" if cancelled.wait(10) else b"no"


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "Down": grpc.unary_stream_rpc_method_handler(down),
        "Up": grpc.stream_unary_rpc_method_handler(up),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    }
    handler = grpc.method_handlers_generic_handler("test.Calls", methods)
    server.add_generic_rpc_handlers((handler,))
    place = "127.0.0.1:" + sys.argv[1]
    if len(sys.argv) > 2:
        pair = tuple(open(path, "rb").read() for path in sys.argv[2:4])
        server.add_secure_port(place, grpc.ssl_server_credentials((pair,)))
    else:
        server.add_insecure_port(place)
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(None)


main()
