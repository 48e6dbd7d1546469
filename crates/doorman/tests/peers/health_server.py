"""The health service of gRPC, as its makers ship it.

    health_server.py PORT     prints "ready", reads lines "SERVICE STATUS" ("-" for the whole server)
                            until its standard input ends
"""

import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port("127.0.0.1:" + sys.argv[1])
    server.start()
    print("ready", flush=True)
    for line in sys.stdin:
        service, status = line.split()
        status = health_pb2.HealthCheckResponse.ServingStatus.Value(status)
        servicer.set("" if service == "-" else service, status)
    server.stop(None)


main()
