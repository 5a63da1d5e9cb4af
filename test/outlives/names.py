"""Makes, renames and removes names at random, in the working directory, and fails on any error and any difference.

`names.py SEED OPERATIONS`. A request that was carried out and is sent again must not be answered by what the first one
left: no EEXIST from mkdir or O_EXCL, no ENOENT from unlink, rmdir or rename, when the model says that there is none.
"""
import os
import random
import sys

chance = random.Random(int(sys.argv[1]))
# what a path holds; None for a directory
expected = {}


def directories():
    return [""] + [path + "/" for path, content in expected.items() if content is None]


def files():
    return [path for path, content in expected.items() if content is not None]


def empty_directories():
    return [path for path, content in expected.items() if content is None and not below(path)]


def below(path):
    return [each for each in expected if each.startswith(path + "/")]


def new_path():
    above = chance.choice([each for each in directories() if each.count("/") < 4])
    return above + f"name-{chance.randrange(1_000_000)}"


def make_directory():
    path = new_path()
    os.mkdir(path)
    expected[path] = None


def make_file():
    path, content = new_path(), str(chance.random())
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(fd, content.encode())
    os.close(fd)
    expected[path] = content


def make_node():
    path = new_path()
    os.mknod(path)
    expected[path] = ""


def remove_file():
    if files():
        path = chance.choice(files())
        os.unlink(path)
        del expected[path]


def remove_directory():
    if empty_directories():
        path = chance.choice(empty_directories())
        os.rmdir(path)
        del expected[path]


def rename_file():
    if files():
        old, new = chance.choice(files()), new_path()
        os.rename(old, new)
        expected[new] = expected.pop(old)


def rename_over():
    if len(files()) > 1:
        old, new = chance.sample(files(), 2)
        os.rename(old, new)
        expected[new] = expected.pop(old)


def rename_directory():
    found = [path[:-1] for path in directories() if path]
    if found:
        old, new = chance.choice(found), new_path()
        if not new.startswith(old + "/"):
            os.rename(old, new)
            for path in [old, *below(old)]:
                expected[new + path[len(old) :]] = expected.pop(path)


def rename_over_directory():
    if len(empty_directories()) > 1:
        old, new = chance.sample(empty_directories(), 2)
        os.rename(old, new)
        del expected[old]


def change_mode():
    if files():
        path = chance.choice(files())
        os.chmod(path, 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def refused():
    """What must fail fails with the right error, and not by chance of a repetition with none."""
    if expected:
        path = chance.choice(list(expected))
        try:
            os.mkdir(path)
        except FileExistsError:
            pass
        else:
            raise SystemExit(f"mkdir {path} over what is there")
        try:
            os.rename(new_path(), path + "-new")
        except FileNotFoundError:
            pass
        else:
            raise SystemExit(f"renamed what is not there to {path}-new")


def found_below(directory):
    found = {}
    for above, names, _ in os.walk(directory):
        for entry in os.scandir(above):
            path = os.path.relpath(entry.path, directory)
            if entry.is_dir():
                found[path] = None
            else:
                with open(entry.path) as file:
                    found[path] = file.read()
    return found


def compare(when):
    found = found_below(".")
    if found != expected:
        for path in sorted(found.keys() | expected.keys()):
            if found.get(path, "missing") != expected.get(path, "missing"):
                print(f"{path}: {found.get(path, 'missing')!r}, not {expected.get(path, 'missing')!r}")
        raise SystemExit(f"different {when}, seed {sys.argv[1]}")


often = [make_file] * 6 + [remove_file, rename_file, rename_over] * 3 + [make_directory] * 2
seldom = [make_node, remove_directory, rename_directory, rename_over_directory, change_mode, refused]
operations = int(sys.argv[2])
for operation in range(operations):
    what = chance.choice(often + seldom)
    try:
        what()
    except OSError as error:
        raise SystemExit(f"{what.__name__}, operation {operation} of seed {sys.argv[1]}: {error}")
    if operation % 500 == 499:
        compare(f"after {operation + 1} operations")
compare("in the end")
print(f"{operations} operations, {len(expected)} names")
