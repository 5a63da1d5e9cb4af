"""Runs snippets of Python in a directory, each in a process of its own: one JSON line in, one out.

A snippet says what it saw with `show(...)`; a failed system call is shown by the name of its errno.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import stat
import struct
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
libc.opendir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.closedir.argtypes = libc.rewinddir.argtypes = libc.readdir.argtypes = [ctypes.c_void_p]
libc.telldir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.readdir.restype = ctypes.c_void_p
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE_RANGE, FALLOC_ZERO_RANGE, FALLOC_INSERT_RANGE = 1, 2, 8, 16, 32
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def rename2(old, new, flags):
    checked(libc.renameat2(-100, old.encode(), -100, new.encode(), flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, offset, length))


def fails(call, *args, **options):
    """The name of the errno that the call fails with, or what it answers."""
    try:
        return call(*args, **options)
    except OSError as error:
        return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else errno.errorcode.get(error.errno, str(error))


def write(path, data):
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def read(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def in_child(work):
    """What `work` answers in a process of its own."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = fails(work)
        except BaseException as error:
            answer = repr(error)
        os.write(writable, json.dumps(answer).encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        answer = json.load(pipe)
    os.waitpid(pid, 0)
    return answer


def perform(request):
    shown = []
    names = dict(globals())
    names["show"] = lambda *values: shown.append(list(values) if len(values) > 1 else values[0])
    os.umask(0o022)
    os.chdir(request["directory"])
    if "uid" in request:
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    exec(compile(request["code"], "snippet", "exec"), names)
    return shown


def answer(request):
    try:
        return {"shown": perform(request)}
    except BaseException as error:
        import traceback

        return {"failed": traceback.format_exc()}


for line in sys.stdin:
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        with os.fdopen(writable, "w") as pipe:
            json.dump(answer(json.loads(line)), pipe, default=str)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    print(text or '{"failed": "the process died"}', flush=True)
