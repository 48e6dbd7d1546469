"""A gRPC client that makes every kind of call and says what came.

    grpc_client.py PLACE [ROOT]         ROOT: whom to believe; without it there is no TLS
    grpc_client.py PLACE fails CODE [ROOT]     one call, which must end with that code
    grpc_client.py PLACE breaks CODE [ROOT]    a stream of messages, which must end with that code
"""

import sys
import threading

import grpc


def channel(place, root):
    if root is None:
        return grpc.insecure_channel(place)
    credentials = grpc.ssl_channel_credentials(open(root, "rb").read())
    return grpc.secure_channel(place, credentials)


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def failing(call, code):
    try:
        call()
    except grpc.RpcError as error:
        expect("code", error.code(), code)
        return error
    sys.exit(f"no failure, but {code} was expected")


def all_kinds(calls):
    reply, call = calls.unary_unary("/test.Calls/Unary").with_call(b"abc", timeout=20)
    expect("unary", reply, b"cba")
    expect("initial", dict(call.initial_metadata())["x-begin"], "yes")
    expect("trailing", dict(call.trailing_metadata())["x-end"], "of-unary")
    expect("binary", dict(call.trailing_metadata())["x-end-bin"], b"\x00\xff")

    large = b"x" * 3_000_000
    expect("large", calls.unary_unary("/test.Calls/Unary")(large, timeout=20), large)

    error = failing(
        lambda: calls.unary_unary("/test.Calls/Refuse")(b"", timeout=20), grpc.StatusCode.NOT_FOUND
    )
    expect("details", error.details(), "no such thing: ä%")
    expect("why", dict(error.trailing_metadata())["x-why"], "said so")

    down = calls.unary_stream("/test.Calls/Down")(b"100", timeout=20)
    expect("down", [int(message) for message in down], list(range(100)))
    expect("trailing", dict(down.trailing_metadata())["x-end"], "of-down")
    expect("nothing", list(calls.unary_stream("/test.Calls/Down")(b"0", timeout=20)), [])

    pieces = (b"y" * 1000 for _ in range(200))
    expect("up", calls.stream_unary("/test.Calls/Up")(pieces, timeout=20), b"200000")

    # Each message is sent only when the answer to the one before has come.
    came = threading.Semaphore(1)

    def talk():
        for n in range(50):
            if not came.acquire(timeout=10):
                return
            yield b"word %d" % n

    answers = []
    for answer in calls.stream_stream("/test.Calls/Both")(talk(), timeout=20):
        answers.append(answer)
        came.release()
    expect("both", answers, [b"WORD %d" % n for n in range(50)])

    failing(
        lambda: calls.unary_unary("/test.Calls/None")(b"", timeout=20),
        grpc.StatusCode.UNIMPLEMENTED,
    )

    # Who gives up is heard of at the server.
    waiting = calls.unary_unary("/test.Calls/Wait").future(b"", timeout=20)
    calls.unary_unary("/test.Calls/Unary")(b"", timeout=20)
    waiting.cancel()
    expect("cancelled", calls.unary_unary("/test.Calls/WasCancelled")(b"", timeout=20), b"yes")


def main():
    place = sys.argv[1]
    root = sys.argv[4] if len(sys.argv) > 4 else None
    if sys.argv[2:3] == ["breaks"]:
        messages = []
        with channel(place, root) as calls:
            call = calls.unary_stream("/test.Calls/Down")(b"", timeout=20)
            code = grpc.StatusCode[sys.argv[3]]
            error = failing(lambda: messages.extend(message for message in call), code)
            print(messages, error.details())
        return
    if sys.argv[2:3] == ["fails"]:
        with channel(place, root) as calls:
            code = grpc.StatusCode[sys.argv[3]]
            call = calls.unary_unary("/test.Calls/Wait")
            error = failing(lambda: call(b"", timeout=20, wait_for_ready=False), code)
            print(error.details())
        return
    with channel(place, sys.argv[2] if len(sys.argv) > 2 else None) as calls:
        all_kinds(calls)
    print("all is well")


main()
