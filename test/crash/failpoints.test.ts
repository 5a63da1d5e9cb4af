/**
 * The daemon is killed at each named point of the write-back while programs work on the mount; the next mount
 * goes on, and is killed at the next point. In the end the service has all that was answered.
 */
import t from 'tap'
import { failpointNames } from '../../src/write-back/failpoints.ts'
import type { Operation } from './operations.ts'
import { MortalMount } from './rig.ts'

/** What a person and the tools at work do in one directory, every kind of change at least once. */
function workIn(d: string): Operation[] {
  return [
    { do: 'create', path: `${d}/log.txt` },
    { do: 'write', path: `${d}/log.txt`, text: 'first line\n' },
    { do: 'write', path: `${d}/log.txt`, text: 'second line\n' },
    { do: 'mkdir', path: `${d}/new` },
    { do: 'create', path: `${d}/new/a.txt` },
    { do: 'write', path: `${d}/new/a.txt`, text: 'content of a' },
    { do: 'close', path: `${d}/new/a.txt` },
    { do: 'rename', path: `${d}/old.txt`, to: `${d}/renamed.txt` },
    { do: 'rename', path: `${d}/tree`, to: `${d}/moved` },
    { do: 'create', path: `${d}/config.tmp` },
    { do: 'write', path: `${d}/config.tmp`, text: 'new config' },
    { do: 'close', path: `${d}/config.tmp` },
    { do: 'rename', path: `${d}/config.tmp`, to: `${d}/config.txt` },
    { do: 'unlink', path: `${d}/gone.txt` },
    { do: 'mkdir', path: `${d}/empty` },
    { do: 'write', path: `${d}/page.txt`, at: 5, text: 'WRITTEN' },
    { do: 'map', path: `${d}/page.txt`, at: 20, text: 'MAPPED' },
    { do: 'unlink', path: `${d}/again.txt` },
    { do: 'create', path: `${d}/again.txt` },
    { do: 'write', path: `${d}/again.txt`, text: 'again' },
    { do: 'truncate', path: `${d}/short.txt`, size: 4 },
    { do: 'write', path: `${d}/log.txt`, text: 'third line\n' },
  ]
}

function seed(mount: MortalMount, d: string): void {
  for (const [path, text] of [
    ['old.txt', 'renamed by and by'],
    ['tree/one', '1'],
    ['tree/below/two', '22'],
    ['config.txt', 'old config, which is longer'],
    ['gone.txt', 'to be removed'],
    ['page.txt', '.'.repeat(5000)],
    ['again.txt', 'before'],
    ['short.txt', 'shortened to its beginning'],
  ] as const) {
    mount.seed(`${d}/${path}`, text)
  }
}

/** Most points come more than once; a later time is in the middle of things. */
const kills = failpointNames.flatMap((name) =>
  ['journal.change.before', 'journal.change.after', 'remote.upload.before', 'remote.upload.after'].includes(
    name,
  )
    ? [name, `${name}:7`]
    : [name],
)

void t.test('killed at any point of its work, the daemon loses nothing that was answered', async (t) => {
  const mount = await MortalMount.start(t)
  for (const index of kills.keys()) seed(mount, `round-${index}`)
  for (const [index, failpoint] of kills.entries()) {
    const directory = `round-${index}`
    // only what is not on the service after a second is sealed
    const held = failpoint.startsWith('journal.seal.') ? mount.emulator.hold({ verb: 'upload' }) : undefined
    const isAtStart = failpoint.startsWith('recovery.')
    const mounting = await mount.startMount(failpoint).ended
    if (isAtStart) t.not(mounting.code, 0, `killed at ${failpoint}, it is not mounted`)
    if (mounting.code !== 0) continue
    await mount.noteDaemon().catch(() => undefined)
    const shown = await mount.shown()
    if (shown) mount.compare(t, shown, `what the mount shows after round ${index - 1}`)
    const operations = workIn(directory)
    const program = mount.begin(operations)
    await program.until((text) => text.includes('!')).catch(() => undefined)
    const syncing = mount.command(['sync', mount.directory])
    t.ok(await mount.died(), `it was killed at ${failpoint}`)
    held?.release()
    await syncing
    program.child.kill('SIGKILL')
    await program.ended
    mount.take(operations, program)
  }
  await mount.mount()
  mount.compare(t, (await mount.shown()) ?? {}, 'what the last mount shows at once')
  t.match(await mount.command(['sync', mount.directory]), { code: 0 })
  mount.compare(t, mount.served(), 'the service has what was answered, and nothing else')
})
