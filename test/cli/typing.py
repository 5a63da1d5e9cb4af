"""
Types into an interactive shell at a terminal, waiting for what each line brings: typing.py SHELL… -- then, on
stdin, lines of JSON: {"type": text} and {"expect": text}. Prints what was seen and exits with 1 when something does
not come within its limit.
"""
import fcntl, json, os, pty, re, select, struct, sys, termios, time

limit = 60
shell = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(shell[0], shell)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
seen = ""


def plain(text):
    """Without what moves the cursor or colours: shells draw a line again as it is typed."""
    return re.sub(r"\x1b(\[[0-9;?>]*[a-zA-Z]|[=>]|\][^\x07]*\x07|\(B)|.\x08|\r", "", text)


def wait_for(text):
    global seen
    end = time.monotonic() + limit
    while text not in plain(seen):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            sys.exit(f"no {text!r} in {plain(seen)!r}")
        try:
            data = os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            sys.exit(f"the shell ended before {text!r}: {plain(seen)!r}")
        # a shell that asks what terminal this is, or where its cursor is, waits for the answer
        if "\x1b[c" in data or "\x1b[0c" in data:
            os.write(terminal, b"\x1b[?1;2c")
        if "\x1b[6n" in data:
            os.write(terminal, b"\x1b[1;1R")
        seen += data


for line in sys.stdin:
    step = json.loads(line)
    if "type" in step:
        seen = ""
        os.write(terminal, step["type"].encode())
    else:
        wait_for(step["expect"])
os.kill(pid, 9)
