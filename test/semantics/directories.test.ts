/** Reading directories. */
import t from 'tap'
import { startBehaviours } from './rig.ts'

const { alike } = await startBehaviours(t)

const reading = `class Entry(ctypes.Structure): _fields_ = [('inode', ctypes.c_uint64), ('offset', ctypes.c_int64), ('length', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
def next_entry(directory):
    found = libc.readdir(directory)
    return Entry.from_address(found) if found else None
def all_names(directory):
    names = []
    while (entry := next_entry(directory)) is not None: names.append(entry.name.decode())
    return names
`

await t.test('d_type tells files from directories, . and .. are there', async (t) => {
  await alike(
    t,
    `${reading}
write('file', ''); os.mkdir('d')
directory = libc.opendir(b'.')
found = {}
while (entry := next_entry(directory)) is not None: found[entry.name.decode()] = entry.type
show(sorted(found.items()))
show(sorted((entry.name, entry.is_dir(), entry.is_file(), entry.is_symlink()) for entry in os.scandir('.')))`,
  )
})

await t.test('telldir, seekdir and rewinddir', async (t) => {
  await alike(
    t,
    `${reading}
for i in range(300): write(f'file-{i:03}', '')
directory = libc.opendir(b'.')
for _ in range(100): next_entry(directory)
place = libc.telldir(directory)
rest = all_names(directory)
libc.seekdir(directory, place); show(all_names(directory) == rest, len(rest))
write('new', ''); libc.rewinddir(directory); names = all_names(directory); show(len(names), len(set(names)), 'new' in names)`,
  )
})

await t.test('nothing is left out or given twice while others make and remove names', async (t) => {
  await alike(
    t,
    `${reading}
for i in range(500): write(f'stays-{i}', '')
directory = libc.opendir(b'.')
names = []
for i in range(502):
    entry = next_entry(directory)
    if entry is None: break
    names.append(entry.name.decode())
    if i % 5 == 0: write(f'new-{i}', '')
    if i % 7 == 0 and os.path.exists(f'new-{i // 2}'): os.unlink(f'new-{i // 2}')
names += all_names(directory)
show(sum(name.startswith('stays') for name in names), len(names) == len(set(names)))`,
  )
})

await t.test('removing all that a pass shows empties the directory', async (t) => {
  await alike(
    t,
    `os.mkdir('d')
for i in range(700): write(f'd/{i}', '')
for entry in os.scandir('d'): os.unlink(entry.path)
show(os.listdir('d')); os.rmdir('d')
os.makedirs('tree/a/b'); write('tree/a/x', ''); write('tree/a/b/y', '')
import shutil
shutil.rmtree('tree'); show(os.listdir('.'))`,
  )
})

await t.test('a directory that is renamed while it is read goes on', async (t) => {
  await alike(
    t,
    `${reading}
os.mkdir('d')
for i in range(50): write(f'd/{i}', '')
directory = libc.opendir(b'd')
first = [next_entry(directory).name.decode() for _ in range(10)]
os.rename('d', 'e')
show(len(set(first + all_names(directory))), len(os.listdir('e')))`,
  )
})

await t.test('inotify tells of what is done here', async (t) => {
  await alike(
    t,
    `watch = libc.inotify_init1(os.O_NONBLOCK)
checked(libc.inotify_add_watch(watch, b'.', 0x3c2 | 0x4))
write('a', 'x'); os.chmod('a', 0o600); os.mkdir('d'); os.rename('a', 'd/b'); os.rename('d/b', 'c'); os.unlink('c'); os.rmdir('d')
events, data = [], os.read(watch, 65536)
while data:
    _, mask, _, length = struct.unpack_from('iIII', data)
    events.append((hex(mask), data[16:16 + length].rstrip(b'\\0').decode())); data = data[16 + length:]
show(events)`,
  )
})
