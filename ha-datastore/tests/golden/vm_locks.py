#!/usr/bin/env python3
"""Writes the golden lock files of virtual machines, from FORMAT.md alone: no line of the crate is used.

    pip install xxhash && ./vm_locks.py
"""

import struct
import zlib
from pathlib import Path

import xxhash

BLOCK, VM_LOCK = 4096, 6
FREE, RUNNING, HANDING_OVER, MOVED = 1, 2, 3, 4
PATH = "vm-5/vm-5.vmx"
INODE = 10_010_728  # of the lock file


def home_sum(datastore, path):
    return xxhash.xxh3_64_intdigest(struct.pack("<I", datastore) + path.encode()) & ~1


def slot(generation, epoch, state, who=0, what=0, file=INODE):
    """What host 7 in its third life writes of machine 5, whose home is datastore 1."""
    payload = b"\x05" * 16 + struct.pack("<QIIQQQ", epoch, state, who, what, home_sum(1, PATH), file)
    head = b"vHAr" + struct.pack("<HBB", VM_LOCK, 1, 1) + b"\xc1" * 16 + struct.pack("<II", 7, generation % 2)
    head += b"\xb0" * 16 + struct.pack("<QQ", 3, generation)
    head += struct.pack("<III", len(payload), zlib.crc32(payload), 0)
    head += struct.pack("<I", zlib.crc32(head))
    return (head + payload).ljust(BLOCK, b"\0")


def save(name, a, b=bytes(BLOCK)):
    file = a + b
    lines = [f"size {len(file)}"]
    for at in range(0, len(file), 16):
        if any(file[at : at + 16]):
            lines.append(f"{at:06x}: {file[at:at + 16].hex(' ')}")
    (Path(__file__).parent / f"{name}.hex").write_text("\n".join(lines) + "\n")


running = slot(9, 17, RUNNING, who=7, what=3)
moved = {"who": 2, "what": home_sum(2, PATH) + 1}  # it was cleanly off

save("ha-lock-initial", slot(0, 0, FREE, file=0))  # before there is a file
save("ha-lock", slot(8, 17, FREE, file=0), running)  # slot A by a host that could not tell
save("ha-lock-handing-over", slot(10, 17, HANDING_OVER, who=8, what=30 * 10**9), running)
save("ha-lock-moved", slot(12, 17, MOVED, **moved), slot(11, 17, MOVED, **moved))
