"""Does the operations of the model test as system calls below the directory it is given: one JSON line in, one out.

Answers are what `reference.ts` expects: an errno by name, or what the call showed.
"""
import ctypes
import errno
import hashlib
import json
import os
import stat
import sys

root = sys.argv[1].encode()
libc = ctypes.CDLL(None, use_errno=True)
libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
AT_FDCWD, RENAME_NOREPLACE = -100, 1
KEEP_SIZE, PUNCH_HOLE = 1, 2

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


def located(path):
    return os.path.join(root, path.encode()) if path else root


def digest(data):
    return "%d %s" % (len(data), hashlib.md5(data).hexdigest()[:8])


def described(found):
    mode = "%o" % stat.S_IMODE(found.st_mode)
    modified = found.st_mtime_ns // 10**9
    if stat.S_ISDIR(found.st_mode):
        return "directory %s %d" % (mode, modified)
    return "file %d %s %d" % (found.st_size, mode, modified)


def bytes_of(rule):
    fill = rule["fill"]
    return bytes(1 + ((fill + at * 7 + (at >> 8)) % 250) for at in range(rule["length"]))


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
    elif do == "utimes":
        os.utime(located(path), (operation["seconds"], operation["seconds"]))
    elif do == "unlink":
        os.unlink(located(path))
    elif do == "mkdir":
        os.mkdir(located(path), 0o755)
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
        return copied(fd(operation["from"]), fd(operation["to"]), operation["length"])
    elif do == "fstat":
        return described(os.fstat(fd(slot)))
    elif do == "fsync":
        os.fsync(fd(slot))
    elif do == "barrier":
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    elif do == "crash":
        for descriptor in slots.values():
            try:
                os.close(descriptor)
            except OSError:
                pass
        slots.clear()
    elif do == "tree":
        return tree()
    else:
        raise ValueError(do)
    return "ok"


def by_unit(text):
    """The order of JavaScript's sort: by UTF-16 units."""
    return text.encode("utf-16-be")


def copied(source, target, length):
    at = 0
    while at < length:
        count = os.copy_file_range(source, target, length - at, at, at)
        if count == 0:
            break
        at += count
    if length == 0:
        os.copy_file_range(source, target, 0, 0, 0)
    return "ok"


for line in sys.stdin:
    try:
        answer = perform(json.loads(line))
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
        if error.errno == errno.EIO:
            answer = "EIO " + str(error)
    print(json.dumps(answer), flush=True)
