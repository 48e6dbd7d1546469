"""Writes a database of the MaxMind DB format: FILE KIND, and lines `NETWORK VALUE` of standard input."""

import sys

from mmdb_writer import MMDBWriter
from netaddr import IPSet

file, kind = sys.argv[1:]
writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Story-" + kind)
for line in sys.stdin:
    network, value = line.split()
    known = {"country": {"iso_code": value}} if kind == "Country" else {"autonomous_system_number": int(value)}
    writer.insert_network(IPSet([network]), known)
writer.to_db_file(file)
