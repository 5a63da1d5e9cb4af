/**
 * Volumes on a node as Pods have them, over real mounts: whose files they are, who shares them, what is refused.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually, isAlive, type Node, rootWithFuse, startNode } from './node-rig.ts'

t.setTimeout(600_000)

const ok = {}

void t.test(
  'a volume is the session: what a Pod writes is on the service, and nothing is left of it afterwards',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    t.strictSame(await node.publish({ pod: 'one' }), ok)
    t.strictSame(await node.publish({ pod: 'one' }), ok, 'asked again, it is there')
    t.equal(await node.run('one', 'mkdir -p a/b && echo hello > a/b/c && sync a/b/c && cat a/b/c'), 'hello\n')
    t.equal(readFileSync(join(node.emulator.home, 'a/b/c'), 'utf8'), 'hello\n')
    const [daemon = 0] = node.daemons()
    t.strictSame(await node.unpublish('one'), ok)
    t.strictSame(await node.unpublish('one'), ok, 'asked again, it is gone')
    await eventually(() => !isAlive(daemon), 'the daemon ends')
    t.strictSame(
      {
        mounts: node.mounts(),
        target: existsSync(node.target('one')),
        run: readdirSync(join(node.directory, 'run')),
        state: readdirSync(join(node.directory, 'state')),
      },
      { mounts: [], target: false, run: [], state: [] },
    )
  },
)

void t.test(
  'Pods of one service account share a session, each as it asked for; others have a mount of their own',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    t.strictSame(await node.publish({ pod: 'two', attributes: { readOnly: 'true' } }), ok)
    await node.run('one', 'echo shared > file')
    t.equal(await node.run('two', 'cat file'), 'shared\n')
    const { stderr } = await node.shell('two', 'touch file').ended
    t.match(stderr, /Read-only file system/)
    t.equal(node.daemons().length, 1)
    t.match(await node.publish({ pod: 'three', attributes: { 'cache-size': '2G' } }), {
      code: 'FAILED_PRECONDITION',
      details: /Pod team\/(one|two) with another cache-size/,
    })
    t.strictSame(await node.publish({ pod: 'four', serviceAccount: 'other' }), ok)
    t.equal(node.daemons().length, 2)
    await node.run('one', 'sync file')
    t.equal(await node.run('four', 'cat file'), 'shared\n')
    t.strictSame(await node.unpublish('one'), ok)
    t.equal(await node.run('two', 'cat file'), 'shared\n', 'which others still have')
    for (const pod of ['two', 'three', 'four']) t.strictSame(await node.unpublish(pod), ok)
    t.strictSame(node.mounts(), [])
  },
)

void t.test(
  'an expired token is a pause, and a republished one ends it without a remount',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    await node.run('one', 'echo first > file && sync file')
    const [daemon] = node.daemons()
    node.emulator.setToken('the-next-token')
    await node.run('one', 'echo second > file')
    await eventually(() => /unauthorized|401/.test(node.log()), 'the token is refused')
    t.strictSame(await node.publish({ pod: 'one', token: 'the-next-token' }), ok)
    await node.run('one', 'sync file')
    t.equal(readFileSync(join(node.emulator.home, 'file'), 'utf8'), 'second\n')
    t.strictSame(node.daemons(), [daemon])
    t.notMatch(node.log(), /the-next-token/)
    t.strictSame(await node.unpublish('one'), ok)
  },
)

void t.test('what cannot be mounted says why, and leaves nothing', rootWithFuse, async (t) => {
  const node = await startNode(t)
  const refused: [Parameters<Node['publish']>[0], object][] = [
    [
      { pod: 'one', attributes: { session: 'no-such-session' } },
      { code: 'NOT_FOUND', details: /no such agent or session/ },
    ],
    [
      { pod: 'two', token: 'wrong' },
      { code: 'UNAUTHENTICATED', details: /token is refused .* nodePublishSecretRef/ },
    ],
    [
      { pod: 'three', attributes: { subPath: 'no/where' } },
      { code: 'NOT_FOUND', details: /no such directory/ },
    ],
    [
      { pod: 'four', attributes: { cachesize: '1G' } },
      { code: 'INVALID_ARGUMENT', details: /attribute cachesize is not known/ },
    ],
  ]
  for (const [asked, answer] of refused) t.match(await node.publish(asked), answer)
  await eventually(() => readdirSync(join(node.directory, 'run')).length === 0, 'nothing is left')
  t.strictSame({ mounts: node.mounts(), daemons: node.daemons() }, { mounts: [], daemons: [] })
  t.strictSame(await node.publish({ pod: 'one' }), ok, 'once it is right')
})

void t.test('a start that takes too long goes on, and the next call finds it', rootWithFuse, async (t) => {
  const node = await startNode(t)
  const start = node.emulator.hold({ verb: 'getSession' })
  const first = node.publish({ pod: 'one', deadlineMs: 1000 })
  await start.reached
  t.match(await first, { code: 'DEADLINE_EXCEEDED' })
  start.release()
  t.strictSame(await node.publish({ pod: 'one' }), ok)
  t.strictSame(await node.unpublish('one'), ok)
})

void t.test(
  'files belong to the Pod: everybody writes, or its fsGroup, or as the attributes say',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    const modes = async (pod: string): Promise<string> =>
      node.run(pod, 'touch new && stat -c "%u:%g %a" . new')
    await node.publish({ pod: 'one' })
    t.equal(
      await node.run('one', 'umask 0; touch new; mkdir -p made; stat -c "%u:%g %a" . new made'),
      '0:0 777\n0:0 666\n0:0 777\n',
    )
    await node.run('one', 'su -s /bin/sh nobody -c "echo mine > by-nobody"')
    await node.unpublish('one')
    await node.publish({ pod: 'two', fsGroup: '2000' })
    t.match(await modes('two'), /^0:2000 775\n/)
    await node.unpublish('two')
    await node.publish({ pod: 'three', attributes: { uid: '7', gid: '8', umask: '027' } })
    t.match(await modes('three'), /^7:8 750\n/)
    await node.unpublish('three')
  },
)

void t.test('a part of a session is a volume, too', rootWithFuse, async (t) => {
  const node = await startNode(t)
  await node.publish({ pod: 'one' })
  await node.run('one', 'mkdir -p in/part && echo deep > in/part/file && sync in/part/file')
  t.strictSame(await node.publish({ pod: 'two', attributes: { subPath: 'in/part' } }), ok)
  t.equal(await node.run('two', 'cat file && ls'), 'deep\nfile\n')
  for (const pod of ['one', 'two']) await node.unpublish(pod)
})

void t.test(
  'tokens lie where only the daemon reads them, and are gone with the volume',
  rootWithFuse,
  async (t) => {
    const node = await startNode(t)
    await node.publish({ pod: 'one' })
    const [key = ''] = readdirSync(join(node.directory, 'run'))
    const run = join(node.directory, 'run', key)
    t.equal(statSync(run).mode & 0o027, 0, 'nobody but the daemon comes near them')
    for (const name of ['token', 'volume.json', 'driver.sock', 'daemon', 'daemon/daemon.sock'])
      t.equal(statSync(join(run, name)).mode & 0o027, 0, name)
    t.notMatch(readFileSync(join(run, 'volume.json'), 'utf8'), node.emulator.token)
    await node.unpublish('one')
    t.notOk(existsSync(run))
  },
)
