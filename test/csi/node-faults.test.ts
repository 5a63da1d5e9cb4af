/**
 * A node on which everything goes wrong: mounts that others make and take away, drivers and daemons that end at any step,
 * daemons that mean ill.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { start } from '../mount/programs.ts'
import { canRunProgram, eventually, rootWithFuse, startNode } from './node-rig.ts'

t.setTimeout(600_000)

const ok = {}
const unprivileged = 65_532

/** The service is in this process, and may be asked meanwhile. */
async function run(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await start(program, args).ended
  if (code !== 0) throw new Error(`${program}: ${stderr}`)
}

void t.test(
  'what somebody mounts over a volume, or below it, goes with it; files of the node below it stay',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    await node.run('one', 'mkdir -p inside && echo kept > inside/file && sync inside/file')
    await run('mount', ['-t', 'tmpfs', 'over', node.target('one')])
    await run('mount', ['-t', 'tmpfs', 'over', node.target('one')])
    t.strictSame(await node.unpublish('one'), ok)
    await node.publish({ pod: 'two' })
    await run('mount', ['-t', 'tmpfs', 'below', join(node.target('two'), 'inside')])
    t.strictSame(await node.unpublish('two'), ok)
    t.strictSame(node.mounts(), [])
    t.equal(readFileSync(join(node.emulator.home, 'inside/file'), 'utf8'), 'kept\n')
    mkdirSync(node.target('three'), { recursive: true })
    writeFileSync(join(node.target('three'), 'of-the-node'), 'stays')
    await node.publish({ pod: 'three' })
    t.match(await node.unpublish('three'), {
      code: 'FAILED_PRECONDITION',
      details: /mount: there are files on the node itself, below the volume: move them away/,
    })
    t.strictSame(node.mounts(), [], 'the mount has ended all the same')
    t.equal(readFileSync(join(node.target('three'), 'of-the-node'), 'utf8'), 'stays')
    rmSync(join(node.target('three'), 'of-the-node'))
    t.strictSame(await node.unpublish('three'), ok)
  },
)

void t.test(
  'a mount that an administrator detached is never mistaken for the directory below it',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const [key = ''] = readdirSync(join(node.directory, 'run'))
    const mount = join(node.directory, 'kubelet/plugins/csi.mount-session/mounts', key)
    await run('umount', ['--lazy', mount])
    t.match(await node.publish({ pod: 'two' }), {
      code: 'FAILED_PRECONDITION',
      details: /somebody has unmounted it: delete the Pods/,
    })
    const [daemon = 0] = node.daemons()
    process.kill(daemon, 'SIGKILL')
    t.equal(await node.run('one', 'echo on > file && cat file'), 'on\n', 'who has it keeps it')
    for (const pod of ['one', 'two']) t.strictSame(await node.unpublish(pod), ok)
    t.strictSame(await node.publish({ pod: 'two' }), ok)
    t.equal(await node.run('two', 'cat file'), 'on\n')
    t.strictSame(await node.unpublish('two'), ok)
    t.strictSame(readdirSync(mount.slice(0, -key.length)), [])
  },
)

void t.test(
  'directories that are links, or have blanks, and files that somebody removed',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, [], 'a node')
    await node.publish({ pod: 'one' })
    t.equal(await node.run('one', 'echo here > file && cat file'), 'here\n')
    rmSync(join(node.directory, 'run'), { recursive: true })
    t.strictSame(await node.publish({ pod: 'one', token: node.emulator.token }), ok)
    t.strictSame(await node.publish({ pod: 'two' }), ok)
    t.equal(await node.run('two', 'cat file'), 'here\n')
    for (const pod of ['one', 'two']) t.strictSame(await node.unpublish(pod), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'a daemon leads the driver nowhere: links and pipes in its directories, a state that is no directory',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, ['--drain', '1s'])
    await node.publish({ pod: 'one' })
    const [key = ''] = readdirSync(join(node.directory, 'run'))
    const state = join(node.directory, 'state', key)
    const victim = join(node.directory, 'victim')
    mkdirSync(victim)
    writeFileSync(join(victim, 'file'), 'untouched', { mode: 0o600 })
    const [daemon = 0] = node.daemons()
    process.kill(daemon, 'SIGSTOP')
    for (const name of readdirSync(state)) rmSync(join(state, name), { recursive: true })
    symlinkSync(victim, join(state, 'mount-session'))
    execFileSync('mkfifo', [join(state, 'pipe'), join(node.directory, 'run', key, 'daemon', 'pipe')])
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
    t.strictSame(readdirSync(victim), ['file'])
    t.equal(readFileSync(join(victim, 'file'), 'utf8'), 'untouched')
    t.strictSame(await node.publish({ pod: 'two' }), ok, 'the driver goes on')
    t.strictSame(await node.unpublish('two'), ok)
  },
)

void t.test(
  'fifty calls about one volume at once, its end among them, leave it there or gone, never half',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    t.strictSame(
      await Promise.all(Array.from({ length: 50 }, () => node.publish({ pod: 'one' }))),
      Array(50).fill(ok),
    )
    t.equal(node.daemons().length, 1)
    t.equal(node.mounts().length, 2)
    await Promise.all([node.publish({ pod: 'one' }), node.unpublish('one'), node.publish({ pod: 'one' })])
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.equal(await node.run('one', 'echo x > y && cat y'), 'x\n')
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'what a driver left that was killed at any step is taken up or away by the next one',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const [key = ''] = readdirSync(join(node.directory, 'run'))
    const place = (name: string): string => join(node.directory, 'run', key, name)
    await node.endDriver()
    for (const file of readdirSync(place('targets'))) rmSync(join(place('targets'), file))
    await run('umount', ['--lazy', node.target('one')])
    await node.startDriver()
    await eventually(() => node.mounts().length === 0, 'a mount for nobody ends')
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    await node.endDriver()
    await run('umount', ['--lazy', node.target('one')])
    await node.startDriver()
    t.strictSame(await node.publish({ pod: 'one' }), ok, 'written down, not yet shown')
    t.equal(await node.run('one', 'echo x > y && cat y'), 'x\n')
    await node.endDriver()
    writeFileSync(place('volume.json'), 'half of it')
    await node.startDriver()
    await eventually(() => node.daemons().length === 0, 'what nothing tells of is ended')
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.equal(await node.run('one', 'cat y'), 'x\n')
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'a volume is taken back while its service does not answer, and no daemon stays',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    const start = node.emulator.hold({ verb: 'getSession' })
    const published = node.publish({ pod: 'one' })
    await start.reached
    t.strictSame(await node.unpublish('one'), ok)
    t.match(await published, { code: 'ABORTED', details: /was unmounted meanwhile/ })
    t.strictSame({ mounts: node.mounts(), daemons: node.daemons() }, { mounts: [], daemons: [] })
    start.release()
  },
)

void t.test('a daemon that is killed while it starts is followed by another', rootWithFuse, async (t) => {
  const node = await startNode(t)
  await node.publish({ pod: 'one' })
  let [killed = 0] = node.daemons()
  for (let turn = 0; turn < 3; turn++) {
    process.kill(killed, 'SIGKILL')
    await eventually(() => node.daemons().some((pid) => pid !== killed), 'another daemon')
    ;[killed = 0] = node.daemons()
  }
  process.kill(killed, 'SIGKILL')
  t.equal(await node.run('one', 'echo x > y && cat y'), 'x\n')
  t.strictSame(await node.unpublish('one'), ok)
})

void t.test(
  'daemons run as a user without any right, who reads what is for it and nothing else',
  { skip: rootWithFuse.skip || (!canRunProgram(unprivileged) && 'the sources are not open to other users') },
  async (t) => {
    const node = await startNode(t, ['--user', `${unprivileged}:${unprivileged}`, '--drain', '1s'])
    chmodSync(node.directory, 0o711)
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    await node.run('one', 'echo x > file && sync file')
    const [daemon = 0] = node.daemons()
    t.match(readFileSync(`/proc/${daemon}/status`, 'utf8'), /Uid:\s65532\s65532\s65532\s65532\n/)
    await node.endDriver()
    await node.startDriver()
    process.kill(daemon, 'SIGKILL')
    t.equal(await node.run('one', 'cat file'), 'x\n')
    const [key = ''] = readdirSync(join(node.directory, 'run'))
    const run = join(node.directory, 'run', key)
    t.match(
      asUser(`cat ${run}/targets/*; ls ${run}/targets; echo x > ${run}/token; mv ${run}/daemon ${run}/other`),
      '',
    )
    t.equal(asUser(`cat ${run}/token`), node.emulator.token)
    node.emulator.fault({ kind: 'status', status: 503, verb: 'upload' })
    await node.run('one', 'echo kept > left-over')
    t.strictSame(await node.unpublish('one'), ok)
    t.match(node.log(), /1 change is not on the service \(left-over\)/)
    node.emulator.clearFaults()
    t.strictSame(await node.publish({ pod: 'two' }), ok)
    await node.run('two', 'sync left-over')
    t.strictSame(await node.unpublish('two'), ok)
    t.strictSame(readdirSync(join(node.directory, 'state')), [])
    t.strictSame(readdirSync(join(node.directory, 'run')), [])
  },
)

void t.test('a second driver is refused, and the first one goes on', rootWithFuse, async (t) => {
  const node = await startNode(t)
  await node.publish({ pod: 'one' })
  const { code, stderr } = await node.anotherDriver()
  t.match({ code, stderr }, { code: 1, stderr: /another driver runs there: end it first/ })
  const [daemon = 0] = node.daemons()
  process.kill(daemon, 'SIGKILL')
  t.equal(await node.run('one', 'echo x > y && cat y'), 'x\n')
  t.strictSame(await node.unpublish('one'), ok)
})

void t.test(
  'a state directory without room, or that is read-only, is said; a volume ends all the same',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, ['--drain', '1s'])
    const state = join(node.directory, 'state')
    mkdirSync(state)
    await run('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1', 'state', state])
    t.match(await node.publish({ pod: 'one' }), {
      code: 'UNAVAILABLE',
      details: /state\/[0-9a-f]{20} on the node: mkdir failed \(ENOSPC\): make room there/,
    })
    t.strictSame(await node.unpublish('one'), ok)
    await run('mount', ['-o', 'remount,nr_inodes=10000', state])
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    await run('mount', ['-o', 'remount,ro', state]).catch(() => undefined)
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [state])
  },
)

void t.test(
  'a daemon that is frozen holds up neither other volumes nor a new driver, and goes on afterwards',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    await node.run('one', 'echo before > file && sync file')
    const [daemon = 0] = node.daemons()
    process.kill(daemon, 'SIGSTOP')
    const waits = node.shell('one', 'ls > /dev/null; stat file > /dev/null; echo after >> file && cat file')
    t.strictSame(await node.publish({ pod: 'two' }), ok, 'shown at another place')
    t.strictSame(await node.unpublish('two'), ok)
    t.strictSame(await node.publish({ pod: 'other', serviceAccount: 'other' }), ok)
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    await node.endDriver()
    await node.startDriver()
    t.equal(await node.run('other', 'cat file'), 'before\n')
    t.strictSame(await node.unpublish('other'), ok)
    t.match(await node.publish({ pod: 'one', deadlineMs: 1000 }), { code: 'DEADLINE_EXCEEDED' })
    process.kill(daemon, 'SIGCONT')
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.match(await waits.ended, { code: 0, stdout: 'before\nafter\n' })
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
  },
)

function asUser(script: string): string {
  const id = { uid: unprivileged, gid: unprivileged }
  return spawnSync('/bin/sh', ['-c', script], { ...id, cwd: '/', encoding: 'utf8' }).stdout
}
