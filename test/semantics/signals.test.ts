/**
 * Signals to a program that waits: what it handles and goes on after fails no call, what is meant to stop it ends
 * the wait at once. Each program makes one system call, in a directory of its own, whose call to the service is held.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FaultMatch } from '../../src/emulator/faults.ts'
import type { Running } from '../mount/programs.ts'
import { startBehaviours } from './rig.ts'

const { startSh, ok, emulator } = await startBehaviours(t, { args: ['-o', 'sync', '--ttl', '0'] })
const program = join(import.meta.dirname, 'waiting.py')

/** Which call of the service an operation in a directory waits for. */
type Waits = (directory: string) => FaultMatch
const listing: Waits = (path) => ({ verb: 'list', path })
const secondListing: Waits = (path) => ({ verb: 'list', path, after: 1 })
const download: Waits = (directory) => ({ verb: 'download', path: `${directory}/file` })
const upload: Waits = (directory) => ({ verb: 'upload', path: new RegExp(`^${directory}/`) })
const removal: Waits = (directory) => ({ verb: 'delete', path: new RegExp(`^${directory}/`) })

const operations: Readonly<Record<string, Waits>> = {
  lookup: listing,
  getattr: listing,
  chmod: secondListing,
  readdir: listing,
  open: listing,
  write: download,
  fallocate: download,
  truncate: download,
  ftruncate: download,
  copy_file_range: download,
  lseek: listing,
  create: secondListing,
  mknod: upload,
  mkdir: upload,
  rmdir: removal,
  unlink: removal,
  rename: upload,
  'rename of a directory': upload,
  fsync: upload,
  fsyncdir: upload,
  close: upload,
}

const handled = ['SIGALRM', 'SIGCHLD', 'SIGUSR1', 'SIGWINCH'] as const
const stopping = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

interface Waiting extends Running {
  readonly release: () => void
  /** All that it has to say; closing its files may wait as well. */
  readonly said: () => Promise<string>
}

/** A program that is in the middle of its call. */
async function waiting(operation: string, name: string, options = ''): Promise<Waiting> {
  const directory = `${operation.replaceAll(/\W/g, '-')}-${name}`
  const home = join(emulator.home, directory)
  fs.mkdirSync(join(home, 'below'), { recursive: true })
  fs.writeFileSync(join(home, 'file'), 'as it was')
  fs.writeFileSync(join(home, 'below', 'file'), 'as it was')
  if (operation === 'rmdir') fs.rmSync(join(home, 'below', 'file'))
  const running = startSh(`exec python3 ${program} '${operation}' ${directory} ${options}`)
  await running.until((said) => said === 'ready\n')
  const hold = emulator.hold((operations[operation] ?? download)(directory))
  running.child.kill('SIGUSR2')
  await hold.reached
  return {
    ...running,
    release: () => hold.release(),
    said: () => running.until((said) => said.split('\n').length > 2),
  }
}

/** What was sent has come to the mount: the kernel hands on interrupts before any other request. */
const arrived = (): Promise<string> => ok('stat -f . > /dev/null')

for (const operation of Object.keys(operations))
  await t.test(
    `${operation}: fails by no signal that is handled, ends by one that is to stop the program`,
    async (t) => {
      const harmless = await Promise.all(handled.map((name) => waiting(operation, name)))
      const stopped = await Promise.all(stopping.map((name) => waiting(operation, name)))
      const killed = await waiting(operation, 'killed', 'unhandled')
      const both = await waiting(operation, 'both')
      harmless.forEach(({ child }, at) => child.kill(handled[at]))
      both.child.kill('SIGALRM')
      await arrived()
      stopped.forEach(({ child }, at) => child.kill(stopping[at]))
      killed.child.kill('SIGTERM')
      both.child.kill('SIGINT')
      for (const [at, name] of stopping.entries())
        t.equal(await stopped[at]?.said(), `ready\nEINTR ${name}\n`, `${name} ends it at once`)
      t.equal((await killed.ended).signal, 'SIGTERM', 'a signal that ends the program ends it at once')
      t.match(await both.said(), /^ready\nEINTR (SIGALRM SIGINT|SIGINT SIGALRM)\n$/, 'also after another')
      await arrived()
      for (const [at, name] of handled.entries())
        t.equal(harmless[at]?.stdout(), 'ready\n', `waits on after ${name}`)
      for (const each of [...harmless, ...stopped, killed, both]) each.release()
      for (const [at, name] of handled.entries())
        t.equal(await harmless[at]?.said(), `ready\nok ${name}\n`, `${name} does not fail it`)
    },
  )

await t.test(
  'read: fails by no signal that is handled, SIGINT among them; ends with the program',
  async (t) => {
    const all = [...handled, ...stopping]
    const reading = await Promise.all(all.map((name) => waiting('read', name)))
    const killed = await waiting('read', 'killed', 'unhandled')
    reading.forEach(({ child }, at) => child.kill(all[at]))
    killed.child.kill('SIGTERM')
    t.equal((await killed.ended).signal, 'SIGTERM')
    await arrived()
    for (const each of [...reading, killed]) each.release()
    for (const [at, name] of all.entries())
      t.equal(
        await reading[at]?.said(),
        `ready\nok ${name}\n`,
        'the kernel waits for a page, as on a local disk',
      )
  },
)

await t.test('open of .logs: fails by no signal that is handled, ends by Ctrl-C', async (t) => {
  for (const [name, said] of [
    ['SIGINT', 'EINTR SIGINT'],
    ['SIGALRM', 'ok SIGALRM'],
  ] as const) {
    const { emulator, startSh } = await startBehaviours(t)
    const running = startSh(`exec python3 ${program} 'open of .logs' .`)
    await running.until((said) => said === 'ready\n')
    const hold = emulator.hold({ verb: 'logStream' })
    running.child.kill('SIGUSR2')
    await hold.reached
    running.child.kill(name)
    t.equal((await running.ended).stdout, `ready\n${said}\n`)
    hold.release()
  }
})

await t.test(
  'a program that is paused while it waits, or ends with a thread that waits, does so',
  async (t) => {
    const paused = await waiting('lookup', 'paused')
    paused.child.kill('SIGTSTP')
    await arrived()
    paused.child.kill('SIGCONT')
    await arrived()
    t.equal(paused.stdout(), 'ready\n')
    paused.release()
    t.equal(await paused.said(), 'ready\nok\n')
    fs.mkdirSync(join(emulator.home, 'thread'))
    const hold = emulator.hold({ verb: 'list', path: 'thread' })
    const code = `import os, signal, threading
threading.Thread(target=os.stat, args=['thread/x']).start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
while True: signal.pause()`
    const threaded = startSh(`exec python3 -c "${code}"`)
    await hold.reached
    threaded.child.kill('SIGTERM')
    t.equal((await threaded.ended).code, 3, 'the thread that waits ends with its program')
    hold.release()
  },
)

await t.test(
  'a timer that a program handles fails no call, also one that is shorter than a round trip',
  async (t) => {
    const { ok } = await startBehaviours(t, { args: ['--ttl', '0'], emulator: { latencyMs: 5 } })
    const code = `import os, signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for number in range(50): os.mkdir(f'd{number}'); os.stat('.'); os.listdir('.')
for number in range(50): os.rmdir(f'd{number}'); os.path.exists('missing')
signal.setitimer(signal.ITIMER_REAL, 0)
print('ok')`
    t.equal(await ok(`python3 -c "${code}"`), 'ok\n')
  },
)

await t.test('a listing whose caller was interrupted goes on, and the next one finds it', async (t) => {
  const { ok, startSh, emulator } = await startBehaviours(t, { args: ['--ttl', '30s'] })
  fs.mkdirSync(join(emulator.home, 'listed'))
  fs.writeFileSync(join(emulator.home, 'listed', 'file'), 'x')
  await ok('test -d listed')
  const hold = emulator.hold({ verb: 'list', path: 'listed' })
  const listing = startSh('exec ls listed')
  await hold.reached
  listing.child.kill('SIGINT')
  t.equal((await listing.ended).signal, 'SIGINT')
  hold.release()
  const before = emulator.counts().list
  t.equal(await ok('ls listed'), 'file\n')
  t.equal(emulator.counts().list, before)
})
