/**
 * Directories that are being read, or worked in, when the daemon dies: a pass goes on where it was and gives each
 * name once, and who is somewhere is still there.
 */
import t, { type Test } from 'tap'
import { needs } from '../programs/installed.ts'
import { treeOf } from '../mount/rig.ts'
import { type Seeds, Stage } from './playing.ts'
import { fileTimeout, mountOutliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }

const many: Seeds = Object.fromEntries(
  Array.from({ length: 2000 }, (_, i) => [`many/file-with-a-long-name-${i}`, ''] as const),
)

/** Kills in the midst of a pass, and has another process make and remove names before it goes on. */
async function changedMeanwhile(t: Test, program: string): Promise<string> {
  const mounted = await mountOutliving(t)
  const scene = await new Stage(mounted).start(program, many)
  await scene.at('half')
  await mounted.kill()
  await mounted.ok(
    `cd ${scene.name}/many; touch made-{1..200}; rm file-with-a-long-name-1??; mkdir made; touch made/below`,
  )
  scene.goOn('half')
  const { code, stdout, stderr } = await scene.ended
  t.match({ code, stderr }, { code: 0, stderr: '' }, stderr)
  return stdout
}

/* what is neither made nor removed is there once; what is, once at most */
const judge = `
removed = {f'file-with-a-long-name-{i}' for i in range(100, 200)}
made = {f'made-{i}' for i in range(1, 201)} | {'made'}
stays = {f'file-with-a-long-name-{i}' for i in range(2000)} - removed
print('twice:', len(names) - len(set(names)), 'left out:', len(stays - set(names)), 'strange:', set(names) - stays - removed - made)
again = os.listdir('many')
print('the next pass:', len(again), set(again) == stays | made)
`
const judged = 'twice: 0 left out: 0 strange: set()\nthe next pass: 2101 True\n'

void t.test('a pass over 2000 names goes on, though names are made and removed', python, async (t) => {
  const said = await changedMeanwhile(
    t,
    `names = []
with os.scandir('many') as entries:
    for entry in entries:
        names.append(entry.name)
        if len(names) == 1000: stop('half')
${judge}`,
  )
  t.equal(said, `at half\n${judged}`)
})

void t.test('a directory that was opened and not read yet is read after the kill', python, async (t) => {
  const said = await changedMeanwhile(
    t,
    `fd = os.open('many', os.O_RDONLY)
stop('half')
names = os.listdir(fd)
${judge}`,
  )
  t.equal(said, `at half\n${judged}`)
})

/* in C's terms: opendir, readdir, telldir, seekdir, rewinddir */
const streams = `libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.argtypes = libc.telldir.argtypes = libc.rewinddir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def next_name(stream):
    entry = libc.readdir(stream)
    return ctypes.string_at(entry + 19).decode() if entry else None
def rest(stream):
    names = []
    while (name := next_name(stream)) is not None: names.append(name)
    return names
`

void t.test('a place that was told before is found after', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `${streams}
stream = libc.opendir(b'many')
first = [next_name(stream) for _ in range(900)]
place = libc.telldir(stream)
second = [next_name(stream) for _ in range(900)]
stop('told')
names = first + second + rest(stream)
print(len(names), len(set(names)))
libc.seekdir(stream, place)
print([next_name(stream) for _ in range(900)] == second)
stop('sought')
libc.rewinddir(stream)
print(sorted(rest(stream)) == sorted(names), libc.closedir(stream))`,
    { seeds: many },
  )
})

void t.test('a pass goes on in a directory that is renamed while nobody serves', python, async (t) => {
  /* beyond the limit mv would copy, and remove what the pass has not come to yet */
  const mounted = await mountOutliving(t, { args: ['--rename-limit', '5000'] })
  const scene = await new Stage(mounted).start(
    `names = []
with os.scandir('many') as entries:
    for entry in entries:
        names.append(entry.name)
        if len(names) == 1000: stop('half')
print(len(names), len(set(names)), os.listdir('.'))`,
    many,
  )
  await scene.at('half')
  const victim = await mounted.strike()
  /* it waits until somebody serves */
  const renaming = mounted.ok(`mv ${scene.name}/many ${scene.name}/renamed`, { limitMs: 60_000 })
  await mounted.served(victim)
  await renaming
  scene.goOn('half')
  t.match(await scene.ended, { code: 0, stdout: "at half\n2000 2000 ['renamed']\n", stderr: '' })
})

void t.test('who removes what a pass shows empties the directory, killed in between', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `removed = 0
with os.scandir('many') as entries:
    for entry in entries:
        os.unlink('many/' + entry.name)
        removed += 1
        if removed in (1, 1000): stop(f'removed {removed}')
print(removed, os.listdir('many'))
os.rmdir('many')
print(os.listdir('.'))`,
    { seeds: many },
  )
})

void t.test('a working directory stays, also under another name', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `top = os.getcwd()
os.chdir('above/theirs')
os.makedirs('ours/deep')
stop('in theirs')
print(os.getcwd()[len(top):], read('file'), sorted(os.listdir('.')))
write('new', b'new'); write('ours/deep/new', b'deep')
os.chdir('ours/deep')
os.rename(top + '/above', top + '/renamed')
stop('in ours')
print(os.getcwd()[len(top):], read('new'), read('../../file'), os.listdir('..'))
os.chdir('..')
os.rename(top + '/renamed/theirs', top + '/moved')
write('new', b'NEW')
stop('moved')
print(os.getcwd()[len(top):], read('../file'), os.path.exists('deep/new'), os.stat('.').st_ino == os.stat(top + '/moved/ours').st_ino)
print(sorted(os.listdir(top)), os.listdir(top + '/renamed'))`,
    { seeds: { 'above/theirs/file': 'of the agent' } },
  )
  await mounted.sync()
  t.strictSame(treeOf(home), {
    moved: null,
    'moved/file': 'of the agent',
    'moved/new': 'new',
    'moved/ours': null,
    'moved/ours/deep': null,
    'moved/ours/deep/new': 'deep',
    'moved/ours/new': 'NEW',
    renamed: null,
  })
})

void t.test('a directory that was removed is empty for who is in it', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `top = os.getcwd()
os.unlink('theirs/file')
os.mkdir('ours')
for name in ('ours', 'theirs'):
    fd = os.open(name, os.O_RDONLY)
    os.chdir(name)
    os.rmdir(top + '/' + name)
    stop(name)
    print(os.fstat(fd).st_nlink, error(os.getcwd), os.listdir('.'), os.listdir(fd))
    print(error(os.mkdir, 'below'), error(os.stat, 'below'), error(read, 'below'), os.stat('.').st_ino == os.fstat(fd).st_ino)
    os.chdir(top)
print(os.listdir('.'))`,
    { seeds: { 'theirs/file': 'of the agent' } },
  )
})
