"""Makes one system call of libc, which is not tried again, and says how it went.

usage: waiting.py OPERATION DIRECTORY [unhandled]

Prepares, says `ready`, waits for SIGUSR2, makes the call, says `ok` or the name of its errno and the signals that came
meanwhile. They are handled, with SA_RESTART, unless `unhandled`.
"""

import ctypes
import errno
import os
import signal
import sys

operation, directory = sys.argv[1:3]
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = [ctypes.c_void_p]
libc.truncate.argtypes = [ctypes.c_char_p, ctypes.c_long]
came = []


def path(name):
    return os.path.join(directory, name).encode()


def written(name):
    fd = os.open(path(name), os.O_CREAT | os.O_WRONLY)
    os.write(fd, b'written')
    return fd


def reopened():
    """An open(2) that looks no name up."""
    fd = os.open(path('file'), os.O_PATH)
    return f'/proc/self/fd/{fd}'.encode()


def copied(source):
    return libc.copy_file_range(source, None, written('new'), None, ctypes.c_size_t(4), 0)


def next_entry(stream):
    return 0 if libc.readdir(stream) else -1


prepared = {
    'getattr': lambda: os.open(path('file'), os.O_RDONLY),
    'readdir': lambda: libc.opendir(directory.encode()),
    'open': reopened,
    'read': lambda: os.open(path('file'), os.O_RDONLY),
    'write': lambda: os.open(path('file'), os.O_WRONLY),
    'fallocate': lambda: os.open(path('file'), os.O_WRONLY),
    'ftruncate': lambda: os.open(path('file'), os.O_WRONLY),
    'lseek': lambda: os.open(path('file'), os.O_RDONLY),
    'copy_file_range': lambda: os.open(path('file'), os.O_RDONLY),
    'fsync': lambda: written('new'),
    'close': lambda: written('new'),
    'fsyncdir': lambda: (written('new'), os.open(directory, os.O_RDONLY))[1],
}
calls = {
    'lookup': lambda _: libc.access(path('file'), os.R_OK),
    'getattr': lambda fd: libc.fstat(fd, ctypes.create_string_buffer(512)),
    'chmod': lambda _: libc.chmod(path('file'), 0o600),
    'readdir': next_entry,
    'open': lambda name: libc.open(name, os.O_RDONLY),
    'read': lambda fd: libc.read(fd, ctypes.create_string_buffer(8), 8),
    'write': lambda fd: libc.write(fd, b'changed', 7),
    'fallocate': lambda fd: libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(100)),
    'create': lambda _: libc.open(path('new'), os.O_CREAT | os.O_WRONLY, 0o644),
    'mknod': lambda _: libc.mknod(path('new'), 0o100644, 0),
    'mkdir': lambda _: libc.mkdir(path('new'), 0o755),
    'rmdir': lambda _: libc.rmdir(path('below')),
    'unlink': lambda _: libc.unlink(path('file')),
    'rename': lambda _: libc.rename(path('file'), path('new')),
    'rename of a directory': lambda _: libc.rename(path('below'), path('new')),
    'truncate': lambda _: libc.truncate(path('file'), 3),
    'ftruncate': lambda fd: libc.ftruncate(fd, ctypes.c_long(3)),
    'lseek': lambda fd: libc.lseek(fd, ctypes.c_long(0), os.SEEK_DATA),
    'copy_file_range': copied,
    'fsync': libc.fsync,
    'fsyncdir': libc.fsync,
    'close': libc.close,
    'open of .logs': lambda _: libc.open(b'.logs', os.O_RDONLY),
}

if sys.argv[3:] != ['unhandled']:
    for name in ['SIGALRM', 'SIGCHLD', 'SIGUSR1', 'SIGWINCH', 'SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']:
        number = getattr(signal, name)
        signal.signal(number, lambda number, _: came.append(signal.Signals(number).name))
        signal.siginterrupt(number, False)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
value = prepared.get(operation, lambda: None)()
print('ready', flush=True)
signal.sigwait([signal.SIGUSR2])
result = calls[operation](value)
said = 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
print(said, *came, flush=True)
