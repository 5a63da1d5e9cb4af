/**
 * A session that was made here and that the service's list does not show yet. On a clock that the test moves.
 * Layer: test.
 */
import t, { type Test } from 'tap'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import type { Filesystem } from '../../src/filesystem/filesystem.ts'
import { silentLogger } from '../../src/log.ts'
import { agentRoot, KnownHere } from '../../src/mount/agent-root.ts'
import { filesystemOptions } from '../../src/mount/session-filesystem.ts'
import { defaultValues } from '../../src/options/table.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { caller } from '../filesystem/rig.ts'
import { one } from './rig.ts'

const made = 'session-made-here'

interface Scene {
  readonly clock: FakeClock
  readonly list: MemoryFiles
  readonly known: KnownHere
  readonly names: () => Promise<string[]>
  readonly isThere: () => Promise<boolean>
}

function scene(t: Test): Scene {
  const clock = new FakeClock()
  const list = new MemoryFiles({ clock })
  list.putDirectory(one)
  const logger = silentLogger
  const listings = new MetadataCache({ files: list, clock, logger, ttlMs: 2000, maxEntries: 100 })
  const known = new KnownHere(clock, { hasWaiting: () => false, attributes: () => undefined })
  const kernelCache = { invalidateNode: () => undefined, invalidateEntry: () => undefined }
  const memory = { recordSink: undefined, remembered: undefined }
  const top: Filesystem = agentRoot(
    { listings, known, clock, logger, kernelCache, specialFiles: [], memory },
    filesystemOptions({ ...defaultValues(), ttlMs: 2000 }, 0),
  )
  t.equal(list.calls.length, 0)
  return {
    clock,
    list,
    known,
    names: async () => {
      const handle = await top.openDirectory(1)
      const entries = [...(await top.readDirectory(handle, 0, caller))].map(({ name }) => name)
      top.releaseDirectory(handle)
      return entries.filter((name) => !name.startsWith('.')).sort()
    },
    isThere: async () => (await top.lookup(1, made, caller)).node !== 0,
  }
}

void t.test('one that was made here is there at once, and for a minute while no list shows it', async (t) => {
  const { clock, known, names, isThere } = scene(t)
  t.strictSame(await names(), [one])
  t.notOk(await isThere())
  known.made(made)
  t.ok(await isThere())
  t.strictSame(await names(), [made, one])
  for (let second = 0; second < 57; second += 3) {
    clock.advance(3000)
    t.ok(await isThere(), `after ${second + 3} s`)
  }
  t.strictSame(await names(), [made, one])
  clock.advance(10_000)
  t.strictSame(await names(), [one], 'then the list is believed: it was removed elsewhere')
  t.notOk(await isThere())
})

void t.test('one that a list has shown goes as soon as no list shows it any more', async (t) => {
  const { clock, list, known, names, isThere } = scene(t)
  known.made(made)
  list.putDirectory(made)
  clock.advance(3000)
  t.strictSame(await names(), [made, one])
  list.take(made)
  clock.advance(3000)
  t.strictSame(await names(), [one])
  t.notOk(await isThere())
})
