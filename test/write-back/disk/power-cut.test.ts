/**
 * What a power cut leaves of the spool: of each file what was last synced, and nothing of the others.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { OpenFiles } from '../../../src/cache/open-files.ts'
import { slotBytes } from '../../../src/write-back/disk/small-files.ts'

/** By descriptor's path: the bytes at the last sync. */
const synced = new Map<string, Buffer>()
const note = (fd: number): void => {
  const path = fs.readlinkSync(`/proc/self/fd/${fd}`)
  synced.set(path, fs.readFileSync(path))
}
const { fdatasync, fdatasyncSync } = fs
fs.fdatasync = Object.assign((fd: number, callback: fs.NoParamCallback) => {
  note(fd)
  fdatasync(fd, callback)
}, fdatasync)
fs.fdatasyncSync = (fd) => {
  note(fd)
  fdatasyncSync(fd)
}
syncBuiltinESMExports()
const { Spool } = await import('../../../src/write-back/disk/spool.ts')

function setup(t: Test) {
  const directory = t.testdir()
  const spool = new Spool(join(directory, 'spool'), 0, new OpenFiles(10))
  /** The spool of the next boot. */
  const afterPowerCut = () => {
    const next = join(t.testdirName, 'next')
    for (const [path, bytes] of synced) {
      const place = relative(directory, path)
      if (place.startsWith('..')) continue
      fs.mkdirSync(join(next, place, '..'), { recursive: true })
      fs.writeFileSync(join(next, place), bytes)
    }
    const found = new Spool(join(next, 'spool'), 0, new OpenFiles(10))
    t.teardown(() => found.close())
    return (generation: number): string | undefined =>
      found.has(generation)
        ? Buffer.from(found.read(generation, 0, found.size(generation))).toString()
        : undefined
  }
  return { spool, afterPowerCut }
}

const long = 'x'.repeat(slotBytes)

void t.test('one that has grown out of its slot is there whole, once it was made durable', async (t) => {
  const { spool, afterPowerCut } = setup(t)
  const [grown, other] = [spool.createEmpty(), spool.createEmpty()]
  spool.write(grown, 0, Buffer.from('begin'))
  await spool.makeDurable(other) // which takes along what lies beside it
  spool.write(grown, 5, Buffer.from(long))
  await spool.makeDurable(grown)
  t.equal(afterPowerCut()(grown), `begin${long}`)
  spool.close()
})

void t.test('what was durable stays so while it grows', async (t) => {
  const { spool, afterPowerCut } = setup(t)
  const [grown, other] = [spool.createEmpty(), spool.createEmpty()]
  spool.write(grown, 0, Buffer.from('durable'))
  await spool.makeDurable(grown)
  spool.write(grown, 7, Buffer.from(long))
  await spool.makeDurable(other)
  t.match(afterPowerCut()(grown), /^durable/)
  spool.close()
})

void t.test('so does what an earlier run has made durable', async (t) => {
  const { spool, afterPowerCut } = setup(t)
  const grown = spool.createEmpty()
  spool.write(grown, 0, Buffer.from('durable'))
  await spool.makeDurable(grown)
  spool.close()
  const later = new Spool(join(t.testdirName, 'spool'), 0, new OpenFiles(10))
  t.teardown(() => later.close())
  later.write(grown, 7, Buffer.from(long))
  await later.makeDurable(later.createEmpty())
  t.match(afterPowerCut()(grown), /^durable/)
})
