"""The file system exerciser: random reads, writes and mappings of one file, each byte compared with memory.

After the `fsx` of Apple and the Linux Test Project. `fsx.py FILE SEED OPERATIONS`; prints the operations
that led to a difference, and exits with 1.
"""
import ctypes
import mmap
import os
import random
import sys

path, seed, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
largest = 256 * 1024
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
KEEP_SIZE, PUNCH_HOLE = 1, 2
chance = random.Random(seed)
expected = bytearray()
log = []


def failed(why):
    print(f"{path}: {why}; seed {seed}, after {len(log)} operations, the last of them:", *log[-30:], sep="\n  ")
    sys.exit(1)


def compare(found, offset, what):
    wanted = expected[offset : offset + len(found)]
    if found == wanted:
        return
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    failed(f"{what}: byte {offset + at} is {found[at:at + 4].hex()}, not {wanted[at:at + 4].hex()}")


def store(offset, data):
    if len(expected) < offset + len(data):
        expected.extend(bytes(offset + len(data) - len(expected)))
    expected[offset : offset + len(data)] = data


def some_range(limit):
    offset = chance.randrange(limit)
    if chance.random() < 0.2:
        offset -= offset % 4096
    return offset, chance.randint(1, min(65536, limit - offset))


def allocate(mode, offset, length):
    if libc.fallocate(fd, mode, offset, length) != 0:
        failed(f"fallocate: {os.strerror(ctypes.get_errno())}")


def mapped(offset, length, work):
    start = offset - offset % mmap.PAGESIZE
    with mmap.mmap(fd, offset - start + length, offset=start) as memory:
        work(memory, offset - start)


def read():
    if expected:
        offset, length = some_range(len(expected))
        log.append(f"read {offset} {length}")
        found = os.pread(chance.choice((fd, other)), length, offset)
        if len(found) != length:
            failed(f"read: {len(found)} bytes")
        compare(found, offset, "read")


def write():
    offset, length = some_range(largest)
    log.append(f"write {offset} {length}")
    data = chance.randbytes(length)
    if os.pwrite(chance.choice((fd, other)), data, offset) != length:
        failed("short write")
    store(offset, data)


def append():
    data = chance.randbytes(chance.randint(1, 5000))
    if len(expected) + len(data) <= largest:
        log.append(f"append {len(data)}")
        os.write(end, data)
        store(len(expected), data)


def map_read():
    if expected:
        offset, length = some_range(len(expected))
        log.append(f"map_read {offset} {length}")
        mapped(offset, length, lambda memory, at: compare(memory[at : at + length], offset, "map_read"))


def map_write():
    if expected:
        offset, length = some_range(len(expected))
        log.append(f"map_write {offset} {length}")
        data = chance.randbytes(length)

        def change(memory, at):
            memory[at : at + length] = data
            if chance.random() < 0.5:
                memory.flush()

        mapped(offset, length, change)
        store(offset, data)


def truncate():
    size = chance.randrange(largest)
    log.append(f"truncate {size}")
    os.ftruncate(fd, size) if chance.random() < 0.5 else os.truncate(path, size)
    expected.extend(bytes(max(size - len(expected), 0)))
    del expected[size:]


def extend():
    offset, length = some_range(largest)
    mode = chance.choice((0, KEEP_SIZE))
    log.append(f"fallocate {mode} {offset} {length}")
    allocate(mode, offset, length)
    if mode == 0:
        expected.extend(bytes(max(offset + length - len(expected), 0)))


def punch_hole():
    offset, length = some_range(largest)
    log.append(f"punch_hole {offset} {length}")
    allocate(PUNCH_HOLE | KEEP_SIZE, offset, length)
    length = min(length, len(expected) - offset)
    if length > 0:
        expected[offset : offset + length] = bytes(length)


def copy_range():
    if len(expected) > 10:
        source, length = some_range(len(expected) // 2)
        target = chance.randrange(source + length, largest - length)
        log.append(f"copy_range {source} {target} {length}")
        copied = os.copy_file_range(other, fd, length, source, target)
        store(target, expected[source : source + copied])


def close_and_open():
    global fd, other, end
    log.append("close_and_open")
    for each in (fd, other, end):
        os.close(each)
    fd, other, end = open_all()
    if os.fstat(fd).st_size != len(expected):
        failed(f"size after opening: {os.fstat(fd).st_size}, not {len(expected)}")


def synchronize():
    log.append("fsync")
    os.fsync(fd)


def open_all():
    flags = os.O_RDWR | os.O_CREAT
    return os.open(path, flags), os.open(path, flags), os.open(path, os.O_WRONLY | os.O_APPEND)


open(path, "wb").close()
fd, other, end = open_all()
often = [read, write, append, map_read, map_write] * 6
seldom = [truncate, extend, punch_hole, copy_range] * 3 + [close_and_open, synchronize]
for _ in range(operations):
    chance.choice(often + seldom)()
    size = os.fstat(fd).st_size
    if size != len(expected):
        failed(f"the size is {size}, not {len(expected)}")
with open(path, "rb") as file:
    compare(file.read(), 0, "the whole file")
print(f"{operations} operations, {len(expected)} bytes")
