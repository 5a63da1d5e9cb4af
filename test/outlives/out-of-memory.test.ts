/**
 * A daemon that has no memory left: the kernel ends it where a control group limits it, or it ends itself at a limit of
 * its own; the programs go on.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually, killGroup } from '../mount/programs.ts'
import { isRunning } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, kills, mountOutliving, type Outliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

/** Control groups that limit memory, by their version. */
const versions = [
  {
    root: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    noLimit: '-1',
    /* of what is wanted from then on */
    little: '3M',
    events: 'memory.oom_control',
    isThere: () => fs.existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes'),
  },
  {
    root: '/sys/fs/cgroup',
    limit: 'memory.max',
    noLimit: 'max',
    little: '20M',
    events: 'memory.events',
    isThere: () => {
      const subtree = '/sys/fs/cgroup/cgroup.subtree_control'
      return fs.existsSync(subtree) && fs.readFileSync(subtree, 'utf8').includes('memory')
    },
  },
]
const groups = versions.find(({ isThere }) => isThere())

/** Why no control group with a limit of memory can be made; undefined: one can. */
function whyNoGroup(): string | undefined {
  if (kills === 0) return 'nothing is to be killed'
  if (process.getuid?.() !== 0) return 'needs root'
  return groups === undefined ? 'no control groups that limit memory' : undefined
}

const noGroup = whyNoGroup()

const program = `seen = []
log = os.open('log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
unlinked = os.open('unlinked', os.O_RDWR | os.O_CREAT)
os.unlink('unlinked')
theirs = os.open('theirs', os.O_RDONLY)
for turn in range(3):
    os.write(log, b'line %d\\n' % turn)
    os.pwrite(unlinked, b'%d' % turn, turn)
    write(f'made-{turn}', b'made')
    os.rename(f'made-{turn}', f'renamed-{turn}')
    stop(f'turn {turn}')
    print(hash(os.read(theirs, 100_000)), read('log'))
print(os.pread(unlinked, 100, 0), sorted(os.listdir('.')))`

/** Plays it, with an end of the daemon in each turn. */
async function through(t: Test, mounted: Outliving, end: (pid: number) => unknown): Promise<void> {
  const theirs = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251))
  const hasNoMemory = async (): Promise<void> => {
    const pid = mounted.daemon() ?? 0
    end(pid)
    /* it notices when it wants some */
    const busy = mounted.startSh(
      'while true; do head -c 2000000 /dev/zero > filled; cat filled > /dev/null; done',
    )
    t.ok(await eventually(() => !isRunning(pid), 60_000), 'it has ended')
    await mounted.served(pid)
    killGroup(busy.child)
  }
  const actions = { 'turn 0': hasNoMemory, 'turn 1': hasNoMemory, 'turn 2': hasNoMemory }
  const { home } = await new Stage(mounted).alike(t, program, { seeds: { theirs }, actions })
  await mounted.sync()
  t.equal(fs.readFileSync(join(home, 'log'), 'utf8'), 'line 0\nline 1\nline 2\n')
  t.equal((await mounted.status()).restarts.length, 3)
}

void t.test(
  'ended by the kernel as its control group has no memory left',
  { timeout, ...(noGroup === undefined ? needs('python3') : { skip: noGroup }) },
  async (t) => {
    if (groups === undefined) return
    const mounted = await mountOutliving(t)
    const { limit, noLimit, little, events } = groups
    const group = join(groups.root, `mount-session-test-${process.pid}`)
    const write = (file: string, text: string): void => fs.writeFileSync(join(group, file), text)
    fs.mkdirSync(group)
    t.teardown(() => eventually(() => (removeGroup(group), !fs.existsSync(group))))
    await through(t, mounted, (pid) => {
      write(limit, noLimit)
      if (fs.existsSync(join(group, 'memory.swap.max'))) write('memory.swap.max', '0')
      write('cgroup.procs', String(pid))
      write(limit, little)
    })
    t.match(fs.readFileSync(join(group, events), 'utf8'), /^oom_kill 3$/m)
    const { restarts } = await mounted.status()
    t.strictSame([...new Set(restarts.slice(1).map(({ why }) => why))], ['it was killed by signal 9'])
  },
)

void t.test(
  'ended by itself as it can have no more',
  { timeout, ...(kills === 0 ? { skip: 'nothing is to be killed' } : needs('prlimit', 'util-linux')) },
  async (t) => {
    const mounted = await mountOutliving(t)
    await through(t, mounted, (pid) => mounted.start('prlimit', [`--pid=${pid}`, '--data=1000000']))
  },
)

function removeGroup(group: string): void {
  try {
    fs.rmdirSync(group)
  } catch {
    /* somebody is in it yet */
  }
}
