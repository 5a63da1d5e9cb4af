/**
 * A daemon that is killed before it has recovered from the last kill, and one that is killed many times: whoever has
 * something open goes on, and what waits to be uploaded waits on.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, mountOutliving, type Outliving, seed, timeout } from './rig.ts'
import { Random } from '../write-back/random.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }

/* of every kind one: a file to append to, a mapping, a pass, what has no name, a lock, a place to be */
const holdsEverything = `os.makedirs('directory/below')
for i in range(500): write(f'directory/file-{i}', b'')
end = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
write('mapped', bytes(8192))
fd = os.open('mapped', os.O_RDWR)
memory = mmap.mmap(fd, 8192)
unlinked = os.open('unlinked', os.O_RDWR | os.O_CREAT)
os.unlink('unlinked')
theirs = os.open('theirs', os.O_RDONLY)
lock = os.open('lock', os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
entries = os.scandir('directory')
names = []
inodes = [os.fstat(each).st_ino for each in (end, fd, unlinked, theirs, lock)]
os.chdir('directory/below')
for turn in range(TURNS):
    names += [entry.name for _, entry in zip(range(10), entries)]
    os.write(end, b'line %d\\n' % turn)
    memory[turn] = memory[4096 + turn] = turn + 1
    os.pwrite(unlinked, b'%4d' % turn, turn * 4)
    write(f'made-{turn}', b'%d' % turn)
    os.rename(f'made-{turn}', f'renamed-{turn}')
    if turn % 2: os.unlink(f'renamed-{turn}')
    stop(f'turn {turn}')
    if os.read(theirs, 1000) != read('../../theirs')[turn * 1000:turn * 1000 + 1000]: print('read something else', turn)
    if in_child(lambda: fcntl.flock(os.open('../../lock', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)) != 'EAGAIN': print('lock lost', turn)
names += [entry.name for entry in entries]
print(len(names), len(set(names)))
print([os.fstat(each).st_ino for each in (end, fd, unlinked, theirs, lock)] == inodes)
print(os.pread(unlinked, TURNS * 4, 0) == b''.join(b'%4d' % turn for turn in range(TURNS)))
print(memory[:TURNS] == memory[4096:4096 + TURNS] == bytes(range(1, TURNS + 1)))
memory.flush()
print(read('../../mapped')[:TURNS] == bytes(range(1, TURNS + 1)))
print(read('../../log').decode() == ''.join(f'line {turn}\\n' for turn in range(TURNS)))
print(sorted(os.listdir('.')), sorted(os.listdir('../..')))
`

const theirs = Buffer.from(Array.from({ length: 30_000 }, (_, i) => (i * i) % 253))

/** Plays it with one kill a turn, of this kind, and looks at what the service has in the end. */
async function through(
  t: Test,
  mounted: Outliving,
  turns: number,
  kill: (turn: number) => Promise<void>,
): Promise<void> {
  const { home, lines } = await new Stage(mounted).alike(
    t,
    holdsEverything.replaceAll('TURNS', String(turns)),
    {
      seeds: { theirs },
      actions: Object.fromEntries(
        Array.from({ length: turns }, (_, turn) => [`turn ${turn}`, () => kill(turn)]),
      ),
    },
  )
  t.strictSame(lines.slice(0, -1), ['501 501', 'True', 'True', 'True', 'True', 'True'])
  await mounted.sync()
  t.equal(
    fs.readFileSync(join(home, 'log'), 'utf8'),
    Array.from({ length: turns }, (_, turn) => `line ${turn}\n`).join(''),
  )
  t.strictSame(fs.readdirSync(home).sort(), ['directory', 'lock', 'log', 'mapped', 'theirs'])
  t.equal(fs.readdirSync(join(home, 'directory/below')).length, Math.ceil(turns / 2))
  t.strictSame(mounted.logged('error'), [], 'the daemons met no fault of their own')
}

void t.test('killed twenty times, each time when it serves', python, async (t) => {
  const mounted = await mountOutliving(t)
  await through(t, mounted, 20, () => mounted.kill())
})

void t.test('killed as soon as it is there, five times over', python, async (t) => {
  const mounted = await mountOutliving(t)
  await through(t, mounted, 3, async () => {
    let victim = await mounted.strike()
    for (let again = 0; again < 5; again++) {
      victim = await mounted.successor(victim)
      if (victim !== undefined) mounted.end(victim)
    }
    await mounted.served(victim)
  })
})

void t.test('killed at a random moment of its recovery', python, async (t) => {
  const random = new Random(seed)
  const mounted = await mountOutliving(t)
  await through(t, mounted, 6, async () => {
    let victim = await mounted.strike()
    for (let again = 0; again < 2; again++) {
      victim = await mounted.successor(victim)
      await new Promise((resolve) => setTimeout(resolve, random.below(600)))
      if (victim !== undefined) mounted.end(victim)
    }
    await mounted.served(victim)
  })
})

void t.test('killed again and again while nothing can be uploaded', python, async (t) => {
  const mounted = await mountOutliving(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  const code = `for turn in range(6):
    write(f'file-{turn}', b'%d' % turn)
    with open('log', 'ab') as file: file.write(b'line %d\\n' % turn)
    stop(f'turn {turn}')
print(read('log'), sorted(os.listdir('.')))`
  const { home } = await new Stage(mounted).alike(t, code)
  hold.release()
  await mounted.sync()
  t.equal(
    fs.readFileSync(join(home, 'log'), 'utf8'),
    [0, 1, 2, 3, 4, 5].map((turn) => `line ${turn}\n`).join(''),
  )
  t.equal(fs.readdirSync(home).length, 7)
})
