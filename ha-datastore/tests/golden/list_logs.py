#!/usr/bin/env python3
"""Writes the golden files of `protectedlist.<n>` with a log, from FORMAT.md alone: no line of the crate is used.

    pip install xxhash && ./list_logs.py

Limits: 170 machines per list, so a slot has 32,768 bytes and a log 4 records.
"""

import struct
import zlib
from pathlib import Path

import xxhash

BLOCK, SLOT, LOG = 4096, 32768, 4 * 8192
LIST, LIST_LOG = 4, 7
TERM = struct.pack("<QI", 12, 7)


def seal(kind, generation, payload, area=BLOCK):
    """The envelope of host 7 in its third life."""
    head = b"vHAr" + struct.pack("<HBB", kind, 1, 1) + b"\xc1" * 16 + struct.pack("<II", 7, generation % 2)
    head += b"\xb0" * 16 + struct.pack("<QQ", 3, generation)
    head += struct.pack("<III", len(payload), zlib.crc32(payload), 0)
    head += struct.pack("<I", zlib.crc32(head))
    return (head + payload).ljust(area, b"\0")


def entry(number, path=None, protection=1, version=1):
    path = (path or f"vm-{number}/vm-{number}.vmx").encode()
    fixed = bytes([number]) * 16 + struct.pack("<IBBBQ", 1, protection, 1 if protection == 1 else 0, 0, version)
    return fixed + struct.pack("<IIH", 0, 0, len(path)) + path


def snapshot(generation, version, entries):
    rest = TERM + struct.pack("<QI", version, len(entries)) + b"".join(entries)
    total = xxhash.xxh3_64_intdigest(rest)
    return seal(LIST, generation, struct.pack("<Q", total) + rest, SLOT), total


def write(base, total, chain, first, version, groups):
    """One write of consecutive records, and the chain after it."""
    blocks = b""
    for index, entries in enumerate(groups, first):
        rest = struct.pack("<QQIII", base, total, index, first, len(groups))
        rest += TERM + struct.pack("<QI", version, len(entries)) + b"".join(entries)
        chain = xxhash.xxh3_64_intdigest(struct.pack("<Q", chain) + rest)
        for copy in (0, 1):
            blocks += seal(LIST_LOG, 2 * index + copy, struct.pack("<Q", chain) + rest)
    return blocks, chain


def save(name, a=b"", b=b"", log_a=b"", log_b=b""):
    file = a.ljust(SLOT, b"\0") + b.ljust(SLOT, b"\0") + log_a.ljust(LOG, b"\0") + log_b.ljust(LOG, b"\0")
    lines = [f"size {len(file)}"]
    for at in range(0, len(file), 16):
        if any(file[at : at + 16]):
            lines.append(f"{at:06x}: {file[at:at + 16].hex(' ')}")
    (Path(__file__).parent / f"{name}.hex").write_text("\n".join(lines) + "\n")


def flip(bytes_, at):
    return bytes_[:at] + bytes([bytes_[at] ^ 1]) + bytes_[at + 1 :]


# An empty snapshot; a write of one machine; a write of eight with long paths, which takes two records: seven
# entries of 41 + 512 bytes fit into 4,096 - 80 - 60.
empty, total = snapshot(0, 1, [])
one, chain = write(0, total, total, 0, 2, [[entry(1)]])
long = [entry(number, "y" * 506 + "/" + f"{number:05}") for number in range(2, 10)]
two, _ = write(0, total, chain, 1, 3, [long[:7], long[7:]])

save("protectedlist.7-log", empty, log_a=one + two)
save("protectedlist.7-log-bad-twin", empty, log_a=flip(one, BLOCK + 200) + two)
save("protectedlist.7-log-hole", empty, log_a=flip(flip(one, 200), BLOCK + 200) + two)

# The next generation was durable, or nothing would continue it, and is damaged now.
newer, newer_total = snapshot(1, 4, [entry(1), *long])
after, _ = write(1, newer_total, newer_total, 0, 5, [[entry(1, protection=2, version=2)]])
save("protectedlist.7-log-lost-base", empty, flip(newer, 300), one + two, after)
