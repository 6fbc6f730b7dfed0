#!/usr/bin/env python3
"""Writes the golden host-local files, from FORMAT.md alone: no line of the crate is used.

    pip install xxhash && ./local_files.py
"""

import struct
import zlib
from pathlib import Path

import xxhash

BLOCK = 4096
CLUSTER_CONFIG, HOST_LIST, VM_METADATA, FDM_CONFIG = 8, 9, 10, 11


def seal(kind, version, body):
    """A whole file of host 7 in its third life."""
    rest = struct.pack("<Q", version) + body
    payload = struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest
    head = b"vHAr" + struct.pack("<HBB", kind, 1, 1) + b"\xc1" * 16 + struct.pack("<II", 7, 0)
    head += b"\xb0" * 16 + struct.pack("<QQ", 3, 0)
    head += struct.pack("<III", len(payload), zlib.crc32(payload), 0)
    head += struct.pack("<I", zlib.crc32(head))
    whole = head + payload
    return whole.ljust(-(-len(whole) // BLOCK) * BLOCK, b"\0")


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def host(number, moid, *addresses):
    return struct.pack("<I", number) + text(moid) + struct.pack("<Q", len(addresses)) + b"".join(map(text, addresses))


def matrix(host_list, hosts, machines):
    """`machines`: for each uuid byte, the hosts that can run it."""
    body = struct.pack("<QII", host_list, len(hosts), len(machines))
    body += b"".join(struct.pack("<I", number) for number in hosts) + b"\0" * (4 * (len(hosts) % 2))
    words = -(-len(hosts) // 64)
    for uuid in sorted(machines):
        bits = sum(1 << hosts.index(number) for number in machines[uuid])
        body += bytes([uuid]) * 16 + bits.to_bytes(8 * words, "little")
    return body


def save(name, file):
    lines = [f"size {len(file)}"]
    for at in range(0, len(file), 16):
        if any(file[at : at + 16]):
            lines.append(f"{at:06x}: {file[at:at + 16].hex(' ')}")
    (Path(__file__).parent / f"{name}.hex").write_text("\n".join(lines) + "\n")


save("clusterconfig", seal(CLUSTER_CONFIG, 80, text("das.isolationaddress = 10.0.0.1\nfdm.isolationPolicyDelaySec = 60\n")))
save("fdm.cfg", seal(FDM_CONFIG, 2, text("fdm.nodeGoodness = 12\n")))
members = [host(3, "host-99", "10.0.0.3:8182", "esx-3.example.org:8182"), host(7, "host-100", "10.0.0.7:8182"), host(90, "host-12")]
save("hostlist", seal(HOST_LIST, 69, struct.pack("<Q", len(members)) + b"".join(members)))
# 65 hosts: one more than a word has bits, and an odd number.
hosts = list(range(1, 130, 2))
machines = {1: [1, 129], 2: [], 9: hosts, 200: [127]}
save("vmmetadata", seal(VM_METADATA, 601102, matrix(69, hosts, machines)))
