/**
 * Rounds of work on a mount whose daemon is killed at a named point in each. Layer: tests.
 *
 * Invariant: the next round begins with what the one before left, and in the end the service has all that was
 * answered and nothing else.
 */
import type { Test } from 'tap'
import type { Operation } from './operations.ts'
import type { MortalMount } from './rig.ts'

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
    { do: 'stain', path: `${d}/page.txt`, at: 4500, text: 'DIRTY' },
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

/** Kills the daemon at each of these points in turn, at work or at its start. */
export async function killAtEach(t: Test, mount: MortalMount, failpoints: readonly string[]): Promise<void> {
  for (const index of failpoints.keys()) seed(mount, `round-${index}`)
  for (const [index, failpoint] of failpoints.entries()) {
    // only what is not on the service after a second is sealed
    const held = failpoint.startsWith('journal.seal.') ? mount.emulator.hold({ verb: 'upload' }) : undefined
    const isAtStart = /^(recovery|journal\.(meta|upgrade))/.test(failpoint)
    const mounting = await mount.startMount(failpoint).ended
    if (isAtStart) t.not(mounting.code, 0, `killed at ${failpoint}, it is not mounted`)
    if (mounting.code !== 0) {
      t.match(mounting.stderr, /SIGKILL/)
      continue
    }
    await mount.noteDaemon().catch(() => undefined)
    const shown = await mount.shown()
    if (shown) mount.compare(t, shown, `what the mount shows after round ${index - 1}`)
    const operations = workIn(`round-${index}`)
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
}
