"""Does the operations of the model test as system calls below the directory it is given: one JSON line in, one out.

Answers are what `reference.ts` expects: an errno by name, or what the call showed.
"""
import ctypes
import errno
import fcntl
import functools
import hashlib
import json
import mmap
import os
import stat
import sys

root = sys.argv[1].encode()
libc = ctypes.CDLL(None, use_errno=True)
libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
libc.syscall.restype = ctypes.c_long
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
AT_FDCWD, RENAME_NOREPLACE = -100, 1
KEEP_SIZE, PUNCH_HOLE = 1, 2
GETDENTS64, WRITE_AND_WAIT = 217, 7

modes = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
    "x+": os.O_RDWR | os.O_CREAT | os.O_EXCL,
}
slots = {}
# by slot: a descriptor of a directory, and the names that its pass has shown
passes = {}


def located(path):
    return os.path.join(root, path.encode()) if path else root


def digest(data):
    return "%d %s" % (len(data), hashlib.md5(data).hexdigest()[:8])


def described(found):
    is_own = (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
    owner = "own" if is_own else "%d:%d" % (found.st_uid, found.st_gid)
    shown = "%o %s %d" % (stat.S_IMODE(found.st_mode), owner, found.st_mtime_ns // 10**9)
    if stat.S_ISDIR(found.st_mode):
        return "directory " + shown
    return "file %d %s" % (found.st_size, shown)


@functools.cache
def block(start):
    return bytes(1 + (start + at * 7) % 250 for at in range(256))


def bytes_of(rule):
    fill, length = rule["fill"], rule["length"]
    blocks = (block((fill + at * (256 * 7 + 1)) % 250) for at in range(-(-length // 256)))
    return b"".join(blocks)[:length]


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fd(slot):
    if slot not in slots:
        raise OSError(errno.EBADF, "closed")
    return slots[slot]


def opened(path, mode):
    descriptor = os.open(located(path), modes[mode], 0o644)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "directory")
    return descriptor


def write_all(descriptor, data, offset=None):
    if not data:
        return
    done = os.write(descriptor, data) if offset is None else os.pwrite(descriptor, data, offset)
    if done != len(data):
        raise OSError(errno.EIO, "%d of %d bytes written" % (done, len(data)))


def whole(path):
    descriptor = opened(path, "r")
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def put(operation, mode):
    descriptor = opened(operation["path"], mode)
    try:
        write_all(descriptor, bytes_of(operation["bytes"]))
    finally:
        os.close(descriptor)


def names(path):
    with os.scandir(located(path)) as entries:
        return [
            (entry.name.decode(), entry.is_dir(follow_symlinks=False), entry.inode()) for entry in entries
        ]


def tree():
    found = {}

    def into(directory):
        for name, is_directory, inode in names(directory):
            path = f"{directory}/{name}" if directory else name
            status = os.stat(located(path))
            shown = described(status)
            if status.st_ino != inode:
                shown += " inode %d listed as %d" % (status.st_ino, inode)
            if is_directory:
                into(path)
            else:
                shown += " " + digest(whole(path))
            found[path] = {"shown": shown, "inode": status.st_ino}

    into("")
    return found


def sync_directory(path):
    descriptor = os.open(located(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def store(descriptor, offset, data):
    """Through a shared mapping, and then to the filesystem, as if the kernel had come to it."""
    size = os.fstat(descriptor).st_size
    begin = offset - offset % mmap.PAGESIZE
    data = data[: max(0, size - offset)]
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
        raise OSError(errno.EACCES, "a shared mapping that is written to needs both")
    if not data:
        return
    with mmap.mmap(descriptor, offset - begin + len(data), offset=begin) as there:
        there[offset - begin :] = data
    checked(libc.sync_file_range(descriptor, 0, 0, WRITE_AND_WAIT))


def entry_of(slot):
    if slot not in passes:
        raise OSError(errno.EBADF, "closed")
    return passes[slot]


def read_on(directory, count):
    """A small buffer: the kernel is asked again and again, and further entries are left to the next call."""
    descriptor, shown = directory
    buffer = ctypes.create_string_buffer(288 if count is not None else 1024)
    while count is None or len(shown) < count:
        length = libc.syscall(GETDENTS64, descriptor, buffer, len(buffer))
        checked(length)
        if length == 0:
            return
        at = 0
        while at < length:
            size = int.from_bytes(buffer.raw[at + 16 : at + 18], "little")
            name = buffer.raw[at + 19 : at + size].split(b"\0", 1)[0]
            if name not in (b".", b".."):
                shown.append(name.decode())
            at += size


def perform(operation):
    do = operation["do"]
    path = operation.get("path")
    slot = operation.get("slot")
    if do == "write":
        put(operation, "w")
    elif do == "append":
        put(operation, "a")
    elif do == "read":
        return "bytes " + digest(whole(path))
    elif do == "stat":
        return described(os.stat(located(path)))
    elif do == "list":
        return "|".join(sorted((name + "/" if is_directory else name for name, is_directory, _ in names(path)), key=by_unit))
    elif do == "truncate":
        os.truncate(located(path), operation["size"])
    elif do == "chmod":
        os.chmod(located(path), operation["mode"])
    elif do == "chown":
        os.chown(located(path), operation["owner"], operation["owner"])
    elif do == "utimes":
        os.utime(located(path), (operation["seconds"], operation["seconds"]))
    elif do == "unlink":
        os.unlink(located(path))
    elif do == "mkdir":
        os.mkdir(located(path), 0o755)
    elif do == "mknod":
        os.mknod(located(path), 0o644 | stat.S_IFREG)
    elif do == "rmdir":
        os.rmdir(located(path))
    elif do == "rename":
        flags = RENAME_NOREPLACE if operation["noReplace"] else 0
        checked(libc.renameat2(AT_FDCWD, located(operation["from"]), AT_FDCWD, located(operation["to"]), flags))
    elif do == "open":
        if slot in slots:
            return "EBUSY"
        slots[slot] = opened(path, operation["mode"])
    elif do == "close":
        descriptor = fd(slot)
        del slots[slot]
        os.close(descriptor)
    elif do == "pread":
        return "bytes " + digest(os.pread(fd(slot), operation["length"], operation["offset"]))
    elif do == "pwrite":
        descriptor = fd(slot)
        write_all(descriptor, bytes_of(operation["bytes"]), operation["offset"])
    elif do == "ftruncate":
        os.ftruncate(fd(slot), operation["size"])
    elif do == "punch":
        checked(libc.fallocate(fd(slot), PUNCH_HOLE | KEEP_SIZE, operation["offset"], operation["length"]))
    elif do == "copy":
        at, to = operation.get("fromOffset", 0), operation.get("toOffset", 0)
        return copied(fd(operation["from"]), fd(operation["to"]), operation["length"], at, to)
    elif do == "map":
        store(fd(slot), operation["offset"], bytes_of(operation["bytes"]))
    elif do == "allocate":
        flags = KEEP_SIZE if operation["keepSize"] else 0
        checked(libc.fallocate(fd(slot), flags, operation["offset"], operation["length"]))
    elif do == "seek":
        whence = os.SEEK_DATA if operation["whence"] == "data" else os.SEEK_HOLE
        return "at %d" % os.lseek(fd(slot), operation["offset"], whence)
    elif do == "fchmod":
        os.fchmod(fd(slot), operation["mode"])
    elif do == "fchown":
        os.fchown(fd(slot), operation["owner"], operation["owner"])
    elif do == "futimes":
        os.utime(fd(slot), (operation["seconds"], operation["seconds"]))
    elif do == "openUnnamed":
        if slot in slots:
            return "EBUSY"
        slots[slot] = os.open(located(path), os.O_TMPFILE | os.O_RDWR, 0o644)
    elif do == "fstat":
        found = os.fstat(fd(slot))
        return "%s %d" % (described(found), found.st_nlink)
    elif do == "openDirectory":
        if slot in passes:
            return "EBUSY"
        passes[slot] = (os.open(located(path), os.O_RDONLY | os.O_DIRECTORY), [])
        read_on(passes[slot], operation["first"])
    elif do == "readRest":
        directory = entry_of(slot)
        read_on(directory, None)
        return "|".join(sorted(directory[1], key=by_unit))
    elif do == "rewind":
        descriptor, shown = entry_of(slot)
        os.lseek(descriptor, 0, os.SEEK_SET)
        shown.clear()
        read_on((descriptor, shown), None)
        return "|".join(sorted(shown, key=by_unit))
    elif do == "closeDirectory":
        os.close(entry_of(slot)[0])
        del passes[slot]
    elif do == "syncDirectory":
        sync_directory(path)
    elif do == "fsync":
        os.fsync(fd(slot))
    elif do == "barrier":
        sync_directory("")
    elif do in ("crash", "remount"):
        for descriptor in [*slots.values(), *(descriptor for descriptor, _ in passes.values())]:
            try:
                os.close(descriptor)
            except OSError:
                pass
        slots.clear()
        passes.clear()
    elif do == "tree":
        return tree()
    else:
        raise ValueError(do)
    return "ok"


def by_unit(text):
    """The order of JavaScript's sort: by UTF-16 units."""
    return text.encode("utf-16-be")


def copied(source, target, length, at, to):
    done = 0
    while done < length:
        count = os.copy_file_range(source, target, length - done, at + done, to + done)
        if count == 0:
            break
        done += count
    if length == 0:
        os.copy_file_range(source, target, 0, at, to)
    return "ok"


for line in sys.stdin:
    try:
        answer = perform(json.loads(line))
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
        if error.errno == errno.EIO:
            answer = "EIO " + str(error)
    print(json.dumps(answer), flush=True)
