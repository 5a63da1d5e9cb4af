/**
 * What a service manager hears of a mount: a datagram socket in the place of systemd's. The listener looks into the mount
 * the moment it is told of it.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually, start, type Running } from '../mount/programs.ts'
import { mountEmulator, workplace } from '../mount/rig.ts'
import { mountOutliving, type Outliving, timeout } from '../outlives/rig.ts'
import { needs } from '../programs/installed.ts'
import { startTestEmulator } from '../emulator-server.ts'

t.setTimeout(4 * timeout)

const options = { timeout, ...needs('python3') }

const listener = `import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
server.bind('\\0' + name[1:] if name[0] == '@' else name)
print(flush=True)
while True:
    told = dict(line.split('=', 1) for line in server.recv(65536).decode().splitlines())
    if 'STATUS' in told:
        told['FOUND'] = ' '.join(sorted(os.listdir(told['STATUS'].split(' at ')[1])))
    print(json.dumps(told), flush=True)
`

interface Manager {
  readonly env: { readonly NOTIFY_SOCKET: string }
  readonly listener: Running
  /** What was said so far. */
  readonly told: () => Record<string, string>[]
  /** The nth thing that was said, from 0 on. */
  readonly heard: (index: number) => Promise<Record<string, string> | undefined>
}

/* a path of a hundred letters is too long for a socket */
async function listen(t: Test, socket = join(workplace(t).root, 'notify')): Promise<Manager> {
  const running = start('python3', ['-c', listener, socket], { limitMs: timeout })
  t.teardown(() => void running.child.kill('SIGKILL'))
  await running.until((text) => text.startsWith('\n'))
  const lines = (): string[] => running.stdout().split('\n').slice(1, -1)
  const told = (): Record<string, string>[] =>
    lines().map((line) => JSON.parse(line) as Record<string, string>)
  return {
    env: { NOTIFY_SOCKET: socket },
    listener: running,
    told,
    heard: async (index) => {
      await running.until(() => lines().length > index)
      return told()[index]
    },
  }
}

const keeper = (mounted: Outliving): string =>
  String(parseInt(mounted.processes().find((words) => words.includes('mount-session-keeper')) ?? ''))

const restart = (mounted: Outliving): ReturnType<Outliving['command']> =>
  mounted.command(['restart', mounted.directory], { limitMs: 60_000 })

/** A process of the mount that could speak for it, or whose programs could. */
const withSocket = (mounted: Outliving): string[] =>
  mounted
    .processes()
    .filter((words) =>
      /(^|\0)NOTIFY_SOCKET=/.test(fs.readFileSync(`/proc/${parseInt(words)}/environ`, 'utf8')),
    )

void t.test(
  'each daemon of a mount says that it serves once it does, and who ends with the mount',
  options,
  async (t) => {
    const manager = await listen(t)
    const mounted = await mountOutliving(t, { env: manager.env })
    const first = { READY: '1', MAINPID: keeper(mounted) }
    t.match(await manager.heard(0), { ...first, STATUS: new RegExp(` at ${mounted.mountedAt}$`) })
    await mounted.ok('echo text > file')
    await mounted.kill()
    t.match(await manager.heard(1), { ...first, FOUND: /\bfile\b|session/ }, 'the keeper is the same')
    t.match(await restart(mounted), { code: 0, stderr: '' })
    const second = { READY: '1', MAINPID: keeper(mounted) }
    t.not(second.MAINPID, first.MAINPID)
    t.match(await manager.heard(2), second, 'after a restart')
    await mounted.kill()
    t.match(await manager.heard(3), second, 'killed after a restart')
    t.strictSame(withSocket(mounted), [])
    t.match(await mounted.command(['unmount', mounted.mountedAt]), { code: 0 })
    t.equal(manager.told().length, 4)
  },
)

void t.test('the name of an abstract socket is as good as a path', options, async (t) => {
  const manager = await listen(t, `@mount-session-test-${process.pid}`)
  const mounted = await mountOutliving(t, { env: manager.env })
  t.match(await manager.heard(0), { READY: '1', MAINPID: keeper(mounted) })
})

void t.test('without a keeper it is the daemon that ends with the mount', options, async (t) => {
  const manager = await listen(t)
  const mounted = await mountEmulator(t, { env: manager.env })
  t.match(await manager.heard(0), { READY: '1', MAINPID: String(mounted.pid) })
})

void t.test('in the foreground it is the command itself', options, async (t) => {
  const manager = await listen(t)
  const work = workplace(t)
  const { target, endpoint, token } = await startTestEmulator(t)
  const directory = work.mountPoint()
  const env = { ...work.env, ...manager.env, FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token }
  const running = work.startCommand(['-f', target, directory], { env })
  t.match(await manager.heard(0), { READY: '1', MAINPID: String(running.child.pid) })
  running.child.kill('SIGTERM')
  t.match(await running.ended, { code: 0 })
})

void t.test('of a start that fails nothing is said', options, async (t) => {
  const manager = await listen(t)
  const mounted = await mountEmulator(t)
  const failed = await mounted.command(['nobody/session-0001', mounted.mountPoint('other')], {
    env: { ...mounted.env, ...manager.env },
  })
  t.match(failed, { code: 1, stderr: /^mount-session: [^\n]*\n$/ })
  const script =
    'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"LAST=1", sys.argv[1])'
  await start('python3', ['-c', script, manager.env.NOTIFY_SOCKET]).ended
  t.strictSame(await manager.heard(0), { LAST: '1' })
})

void t.test('where nobody listens the mount is served, and its log says so', async (t) => {
  const mounted = await mountEmulator(t, { env: { NOTIFY_SOCKET: join(workplace(t).root, 'nobody') } })
  t.ok(await eventually(() => mounted.logged('warn').some((line) => line.includes('could not be told'))))
  t.equal(await mounted.ok('echo text > file; cat file'), 'text\n')
})
