import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Journal } from '../../../src/write-back/disk/journal.ts'
import type { FailpointName } from '../../../src/write-back/disk/failpoints.ts'
import { failureOf, noSignal, startRig } from '../rig.ts'

void t.test('a journal of a newer version is refused, and says what to do', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'journal-'))
  const file = join(directory, 'journal.db')
  new Journal({ file, boot: 'b' }).close()
  const database = new DatabaseSync(file)
  database.exec('PRAGMA user_version=999')
  database.close()
  t.throws(() => new Journal({ file, boot: 'b' }), { message: /newer version/ })
  rmSync(directory, { recursive: true })
  t.end()
})

void t.test('when the journal cannot be written the operation fails, and nothing has changed', async (t) => {
  let fails = false
  const failpoint = (name: FailpointName): void => {
    if (fails && name.startsWith('journal.') && name.endsWith('.before')) {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    }
  }
  const rig = await startRig(t, { failpoint })
  rig.write('a', 'one')
  rig.changes.makeDirectory('d', undefined)
  await rig.changes.barrier('', noSignal)
  const local = rig.changes.get('a')
  fails = true
  const full = { reason: 'diskFull' }
  t.match(await failureOf(() => rig.changes.create('b', undefined)), full)
  t.match(await failureOf(() => rig.changes.removeFile('a', undefined)), full)
  t.match(await failureOf(() => rig.changes.renameFile('a', 'c', undefined, undefined)), full)
  t.match(await failureOf(() => rig.changes.makeDirectory('e', undefined)), full)
  t.match(await failureOf(() => rig.changes.renameDirectory('d', 'x', new Map(), true)), full)
  fails = false
  t.same(rig.changes.get('a'), local)
  for (const path of ['b', 'c', 'e', 'x']) t.equal(rig.changes.get(path), undefined)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['a', 'd/'])
  await rig.reopen()
  await rig.pass(5000)
  t.same(rig.files.paths(), ['a', 'd/'])
})

void t.test(
  'a journal that fails in the background holds the upload up, and stops nothing else',
  async (t) => {
    let fails = 3
    const failpoint = (name: FailpointName): void => {
      if (name === 'journal.attempt.before' && fails-- > 0)
        throw Object.assign(new Error('io'), { code: 'EIO' })
    }
    const rig = await startRig(t, { failpoint })
    rig.write('a', 'one')
    for (let second = 0; second < 20; second++) await rig.pass(1000)
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('a'), 'one')
  },
)

void t.test('a transaction that fails in its middle leaves nothing, and the next one is whole', (t) => {
  const file = join(t.testdir(), 'journal.db')
  const journal = new Journal({ file, boot: 'boot-1' })
  for (const value of ['1', '2']) {
    t.throws(() =>
      journal.transaction(() => {
        journal.setMeta('a', value)
        throw new Error('in the middle')
      }),
    )
    t.equal(journal.meta('a'), undefined)
  }
  journal.transaction(() => journal.setMeta('a', '3'))
  t.equal(journal.meta('a'), '3')
  journal.close()
  t.end()
})

void t.test('whoever has a journal open has it alone', (t) => {
  const file = join(t.testdir(), 'journal.db')
  const journal = new Journal({ file, boot: 'boot-1' })
  t.throws(() => new Journal({ file, boot: 'boot-1' }), { message: /locked/ })
  journal.setMeta('a', '1')
  journal.close()
  const next = new Journal({ file, boot: 'boot-1' })
  t.equal(next.meta('a'), '1')
  next.close()
  t.end()
})

void t.test('a journal with pages of another size, and of programs that shared it, is taken up', (t) => {
  const file = join(t.testdir(), 'journal.db')
  const made = new Journal({ file, boot: 'boot-1' })
  made.setMeta('a', '1')
  made.close()
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode=DELETE; PRAGMA page_size=4096; VACUUM; PRAGMA journal_mode=WAL')
  database.exec("UPDATE meta SET value = '2' WHERE key = 'a'")
  database.close()
  const journal = new Journal({ file, boot: 'boot-1' })
  t.equal(journal.meta('a'), '2')
  journal.close()
  t.end()
})

void t.test('a journal of the first schema is upgraded, and nothing that it holds is lost', (t) => {
  const file = join(t.testdir(), 'journal.db')
  const made = new Journal({ file, boot: 'boot-1' })
  const remote = { is: 'directory' } as const
  const record = {
    path: 'd',
    desired: { is: 'absent' },
    remote,
    heirs: ['e'],
    since: 7,
    scratch: true,
  } as const
  made.save({ ...record, doubtSince: undefined }, undefined)
  made.close()
  const database = new DatabaseSync(file)
  database.exec(
    'DROP TABLE carried; ALTER TABLE paths DROP COLUMN stays_here; ALTER TABLE paths ADD COLUMN parked TEXT; PRAGMA user_version=1',
  )
  database.close()
  const journal = new Journal({ file, boot: 'boot-2' })
  t.match(journal.rows(), [
    { path: 'd', desired: 'absent', remote, heirs: ['e'], since: 7, staysHere: false },
  ])
  journal.save({ ...record, doubtSince: undefined }, undefined)
  t.match(journal.rows(), [{ path: 'd', staysHere: true }])
  journal.close()
  t.end()
})
