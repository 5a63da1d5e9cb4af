import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OpenFiles } from '../../../src/cache/open-files.ts'
import { silentLogger } from '../../../src/log.ts'
import { Generations } from '../../../src/write-back/disk/generations.ts'
import { noFailpoint } from '../../../src/write-back/disk/failpoints.ts'
import { Journal } from '../../../src/write-back/disk/journal.ts'
import { Spool } from '../../../src/write-back/disk/spool.ts'
import { FakeClock } from '../../fake-clock.ts'
import { quiet } from '../rig.ts'

function setup(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'generations-'))
  const clock = new FakeClock()
  const journal = new Journal({ file: join(directory, 'journal.db'), boot: 'boot-1' })
  const spool = new Spool(join(directory, 'spool'), 0, new OpenFiles(10))
  const generations = new Generations(spool, journal, clock, silentLogger, noFailpoint)
  t.teardown(async () => {
    await generations.close()
    spool.close()
    journal.close()
    rmSync(directory, { recursive: true })
  })
  return { clock, journal, spool, generations }
}

void t.test('what a disk does not remove is tried again, and the rest goes', async (t) => {
  const { clock, spool, generations } = setup(t)
  const [stuck, other] = [spool.createEmpty(), spool.createEmpty()]
  const unlink = spool.unlink.bind(spool)
  let isReadOnly = true
  spool.unlink = (generation) => {
    if (isReadOnly && generation === stuck)
      throw Object.assign(new Error('read-only file system'), { code: 'EROFS' })
    unlink(generation)
  }
  generations.discard(stuck)
  generations.discard(other)
  clock.advance(1000)
  await quiet()
  t.same(spool.generations(), [stuck])
  isReadOnly = false
  clock.advance(10_000)
  await quiet()
  t.same(spool.generations(), [])
})

void t.test('nothing is removed before the journal is durable, and all of it afterwards', async (t) => {
  const { clock, journal, spool, generations } = setup(t)
  generations.discard(spool.createEmpty())
  const whenDurable = journal.whenDurable.bind(journal)
  journal.whenDurable = (callback) => callback(new Error('no space left'))
  clock.advance(1000)
  await quiet()
  t.equal(spool.generations().length, 1)
  journal.whenDurable = whenDurable
  clock.advance(10_000)
  await quiet()
  t.equal(spool.generations().length, 0)
})
