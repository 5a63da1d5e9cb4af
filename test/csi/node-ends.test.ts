/**
 * What ends under Pods that use a volume, and what a volume that ends leaves: daemons and drivers that are killed, a service
 * that is away.
 */
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startLoad } from './node-load.ts'
import { eventually, isAlive, rootWithFuse, startNode } from './node-rig.ts'

t.setTimeout(600_000)

const ok = {}

void t.test('a daemon that is killed under a program is followed by another', rootWithFuse, async (t) => {
  const node = await startNode(t)
  await node.publish({ pod: 'one' })
  const work = startLoad(t, node, 'one')
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    await work.goesOn()
    const [daemon = 0] = node.daemons()
    process.kill(daemon, signal)
    await eventually(() => node.daemons().some((pid) => pid !== daemon), 'another daemon')
  }
  await work.goesOn()
  await work.stop()
  t.strictSame(await node.unpublish('one'), ok)
})

void t.test(
  'a driver that is killed or replaced under a program is followed by another, which can start daemons',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const work = startLoad(t, node, 'one')
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await work.goesOn()
      await node.endDriver(signal)
      await work.goesOn()
      await node.startDriver()
      const [daemon = 0] = node.daemons()
      process.kill(daemon, 'SIGKILL')
      await eventually(() => node.daemons().some((pid) => pid !== daemon), 'another daemon')
    }
    await work.goesOn()
    await work.stop()
    t.notMatch(node.log(), /a mount is lost/)
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'a daemon that is told to end while no driver runs waits for the next one, and leaves then',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const work = startLoad(t, node, 'one')
    await work.goesOn()
    const [daemon = 0] = node.daemons()
    await node.endDriver()
    process.kill(daemon, 'SIGTERM')
    await work.goesOn()
    await node.startDriver()
    await eventually(() => node.daemons().some((pid) => pid !== daemon), 'another daemon')
    await work.goesOn()
    await work.stop()
    t.strictSame(await node.unpublish('one'), ok)
  },
)

void t.test(
  'where both end at once the Pod is told, and the next one has what was written',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const uploads = node.emulator.hold({ verb: 'upload' })
    await node.run('one', 'echo written > before')
    await uploads.reached
    const [daemon = 0] = node.daemons()
    await node.endDriver()
    process.kill(daemon, 'SIGKILL')
    const { code, stderr } = await node.shell('one', 'cat before').ended
    t.match({ code, stderr }, { code: 1, stderr: /Transport endpoint is not connected|connection abort/ })
    uploads.release()
    await node.startDriver()
    t.match(node.log(), /"reason":"MountLost"[^\n]*restart this Pod/)
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.equal(await node.run('one', 'sync before && cat before'), 'written\n')
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'a volume that ends while the service is away keeps what is left, says so, and the next one uploads it',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, ['--drain', '1s'])
    await node.publish({ pod: 'one' })
    node.emulator.fault({ kind: 'status', status: 503, verb: 'upload' })
    await node.run('one', 'echo kept > left-over')
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(
      { mounts: node.mounts(), target: existsSync(node.target('one')) },
      { mounts: [], target: false },
    )
    t.match(node.log(), /"reason":"ChangesKept"[^\n]*1 change is not on the service \(left-over\)/)
    node.emulator.clearFaults()
    t.strictSame(await node.publish({ pod: 'two' }), ok)
    t.equal(await node.run('two', 'cat left-over && sync left-over'), 'kept\n')
    t.equal(readFileSync(join(node.emulator.home, 'left-over'), 'utf8'), 'kept\n')
    t.strictSame(await node.unpublish('two'), ok)
  },
)

void t.test(
  'a volume ends although its daemon hangs, and although somebody has a file open',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, ['--drain', '1s'])
    await node.publish({ pod: 'one' })
    const user = node.shell('one', 'exec 3> open-file && echo opened && sleep 100')
    await user.until((said) => said.includes('opened'))
    const [daemon = 0] = node.daemons()
    process.kill(daemon, 'SIGSTOP')
    t.strictSame(await node.unpublish('one'), ok)
    await eventually(() => !isAlive(daemon), 'the daemon is ended')
    t.strictSame(
      { mounts: node.mounts(), target: existsSync(node.target('one')) },
      { mounts: [], target: false },
    )
    process.kill(-(user.child.pid ?? 0), 'SIGKILL')
  },
)

void t.test(
  'what was set aside, a journal that is damaged and what stays on the node outlive the volume',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t, ['--drain', '1s'])
    await node.publish({ pod: 'one', attributes: { ignore: 'stays' } })
    await node.run('one', 'echo here > stays')
    t.strictSame(await node.unpublish('one'), ok)
    await node.publish({ pod: 'one', attributes: { ignore: 'stays' } })
    t.equal(await node.run('one', 'cat stays'), 'here\n')
    node.emulator.fault({ kind: 'status', status: 503, verb: 'upload' })
    await node.run('one', 'echo kept > left-over')
    const [journal = ''] = globSync(join(node.directory, 'state', '**', 'journal.db'))
    rmSync(`${journal}-wal`, { force: true })
    writeFileSync(journal, 'no database '.repeat(1000))
    t.strictSame(await node.unpublish('one'), ok)
    t.ok(existsSync(journal), 'nothing of it is removed')
    t.match(node.log(), /"reason":"ChangesKept"/)
  },
)
