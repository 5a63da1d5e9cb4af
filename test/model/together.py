"""One of several processes that work on the same names at once: SEED, its NUMBER, for SECONDS, below a DIRECTORY.

Prints `going` after some steps, and at its end, as JSON, what it has appended, won, and found wrong, and which
record was begun and not answered.
Ends early, and says so, when the mount goes away under it.
"""
import errno
import hashlib
import json
import os
import random
import sys
import time

directory, number, seed, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
pick = random.Random(seed * 100 + number)
os.chdir(directory)
appended, wrong, won, begun = [], [], [], []
steady = {"steady-%d" % at for at in range(40)}
gone = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)


def content(tag):
    text = ("%s " % tag).encode() * pick.choice([1, 300, 30000])
    return hashlib.md5(text).hexdigest().encode() + text


def is_whole(data):
    return data[:32] == hashlib.md5(data[32:]).hexdigest().encode()


def append(step):
    record = "<%d.%d%s>" % (number, step, "." * pick.choice([0, 10, 5000]))
    descriptor = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    begun[:] = [record]
    try:
        if os.write(descriptor, record.encode()) == len(record):
            appended.append(record)
            begun.clear()
    finally:
        os.close(descriptor)


def replace(step):
    name = "new-%d" % number
    with open(name, "wb") as file:
        file.write(content("%d.%d" % (number, step)))
    os.rename(name, "target")


def read(_):
    with open("target", "rb") as file:
        data = file.read()
    if not is_whole(data):
        wrong.append("target: %d bytes %r" % (len(data), data[:60]))


def win(step):
    name = "won-%d" % (step // 4)
    try:
        if step % 2:
            os.mkdir(name)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        won.append(name)
    except FileExistsError:
        pass


def move(step):
    """Names that come and go beside those that stay."""
    name = "passing-%d-%d" % (number, step % 5)
    with open(name, "w") as file:
        file.write(name)
    os.rename(name, "moved-" + name)
    os.unlink("moved-" + name)


def look(_):
    missing = steady - set(os.listdir("."))
    if missing:
        wrong.append("not listed: %s" % sorted(missing))


def stand(_):
    """A directory is renamed to and fro: what is in it is there under one of both names."""
    for attempt in range(3):
        for name in ("house", "home"):
            try:
                with open(name + "/inside") as file:
                    if file.read() != "inside":
                        wrong.append(name + "/inside is something else")
                return
            except FileNotFoundError:
                pass


def turn(step):
    if number == 0:
        try:
            os.rename("house", "home")
        except FileNotFoundError:
            os.rename("home", "house")


end = time.monotonic() + seconds
step = 0
ended = "done"
try:
    while time.monotonic() < end or step < 20:
        step += 1
        if step == 20:
            print("going", flush=True)
        pick.choice([append, append, replace, read, read, win, move, look, stand, turn])(step)
except OSError as error:
    if error.errno in gone:
        ended = "gone"
    else:
        wrong.append("step %d: %s" % (step, error))
print(json.dumps({"appended": appended, "wrong": wrong, "won": won, "begun": begun, "ended": ended, "steps": step}))
