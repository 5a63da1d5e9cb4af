/** State on the local disk that was damaged between two runs. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { silentLogger } from '../../src/log.ts'
import { FakeClock } from '../fake-clock.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { Incarnations } from './incarnations.ts'
import { noSignal, quiet } from './rig.ts'
import { damageSpooled, spooledText } from './spooled-files.ts'

/** A run that was killed with files that are closed, sealed and not on the service. */
async function killed(t: Test, paths: readonly string[] = ['f']) {
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock })
  const said: string[] = []
  const error = (fields: object, message: string): void => {
    said.push(`${(fields as { path?: string }).path}: ${message}`)
  }
  const runs = await Incarnations.start(files, clock, { logger: { ...silentLogger, error } })
  t.teardown(() => runs.end())
  const pass = async (seconds: number): Promise<void> => {
    for (let left = seconds; left > 0; left--) {
      clock.advance(Math.min(left, 1) * 1000)
      await quiet()
    }
  }
  files.fail({ verb: 'upload', error: 'throttled', times: 1000 })
  for (const path of paths) {
    const copy = runs.changes.create(path, undefined)
    copy.retain()
    copy.write(0, Buffer.from('content-1'))
    copy.flush()
    copy.release()
  }
  await pass(3)
  const goOn = async (damage: (directory: string, generation: string) => void): Promise<void> => {
    const [generation = ''] = runs.spooled()
    await runs.crash({}, (directory) => damage(directory, generation))
    files.clearFaults()
    for (let turn = 0; turn < 3; turn++) await pass(1)
    await runs.changes.barrier('', noSignal)
  }
  return { clock, files, runs, said, goOn, pass }
}

for (const [how, damaged] of [
  ['shortened', 'con'],
  ['altered', 'CONTENT-1'],
  ['emptied', ''],
  ['removed', undefined],
] as const) {
  void t.test(
    `a spool file that was ${how} between two runs of one boot is set aside, not sent`,
    async (t) => {
      const { files, runs, said, goOn } = await killed(t)
      await goOn((directory, generation) => damageSpooled(directory, generation, damaged))
      t.same(files.paths(), [])
      const [entry] = runs.changes.status().setAside
      t.equal(entry?.path, 'f')
      t.same(said, [
        `f: set aside, not uploaded: ${entry?.reason}; \`mount-session recover --export DIR\` takes it out`,
      ])
      t.match(entry?.reason, how === 'removed' ? /missing from the spool/ : /not those that were written/)
    },
  )
}

for (const [how, damage] of Object.entries<(directory: string) => void>({
  'whose log was deleted': (directory) => rmSync(join(directory, 'journal.db-wal')),
  'whose log was cut': (directory) => truncateSync(join(directory, 'journal.db-wal'), 100),
  'whose log is corrupt': (directory) => {
    const file = join(directory, 'journal.db-wal')
    writeFileSync(file, Buffer.alloc(readFileSync(file).length, 7))
  },
  'that was deleted': (directory) => {
    for (const name of ['journal.db', 'journal.db-wal']) rmSync(join(directory, name))
  },
  'that is empty': (directory) => {
    rmSync(join(directory, 'journal.db-wal'))
    truncateSync(join(directory, 'journal.db'), 0)
  },
})) {
  void t.test(`what a journal ${how} does not know any more is named, and kept for export`, async (t) => {
    const { files, runs, said, goOn } = await killed(t, ['f', 'd/g'])
    await goOn(damage)
    t.same(files.paths(), [])
    const { setAside } = runs.changes.status()
    t.match(setAside, [
      { path: 'd/g', reason: 'the journal that knew of it is lost' },
      { path: 'f', reason: 'the journal that knew of it is lost' },
    ])
    for (const { generation } of setAside) t.equal(spooledText(runs.directory, generation), 'content-1')
    t.equal(said.filter((message) => message.includes('set aside, not uploaded')).length, 2)
  })
}

void t.test(
  'a spool file that was altered after it was sent and before it was sealed is set aside',
  async (t) => {
    const { files, runs, said, goOn, pass } = await killed(t, [])
    files.clearFaults()
    files.fail({ verb: 'upload', error: 'network', applied: 'late' })
    const copy = runs.changes.create('f', undefined)
    copy.write(0, Buffer.from('content-1'))
    copy.flush()
    await pass(0.1)
    t.equal(files.count('upload'), 1)
    await goOn((directory, generation) => damageSpooled(directory, generation, 'CONTENT-1'))
    t.same(files.paths(), [])
    t.match(runs.changes.status().setAside, [{ path: 'f' }])
    t.match(said, [/set aside, not uploaded/])
  },
)

void t.test('an empty file that a journal does not know any more has nothing to export', async (t) => {
  const { runs, said, goOn } = await killed(t, [])
  runs.changes.create('f', undefined)
  await goOn((directory) => {
    for (const name of ['journal.db', 'journal.db-wal']) rmSync(join(directory, name))
  })
  t.same(runs.changes.status().setAside, [])
  t.same(said, [])
})

void t.test('a row that is damaged is named, and its bytes are kept for export', async (t) => {
  const { clock, files, runs, said, goOn } = await killed(t, ['f', 'whole'])
  const at = clock.wallMs()
  await goOn((directory) => {
    const database = new DatabaseSync(join(directory, 'journal.db'))
    database.exec("UPDATE paths SET heirs = 'damaged' WHERE path = 'f'")
    database.close()
  })
  t.same(files.paths(), ['whole'])
  const { setAside } = runs.changes.status()
  t.match(setAside, [{ path: 'f', reason: 'its row in the journal is damaged', at }])
  t.match(said, [/^f: set aside, not uploaded: its row in the journal is damaged; .* recover --export DIR/])
  for (const { generation } of setAside) t.equal(spooledText(runs.directory, generation), 'content-1')
})

void t.test(
  'what is written to a file in doubt is sent although the journal lost what was tried',
  async (t) => {
    const { files, runs, goOn, pass } = await killed(t, [])
    files.clearFaults()
    files.fail({ verb: 'upload', error: 'network', applied: 'first' })
    const write = (text: string): void => {
      const copy = runs.changes.create('f', undefined)
      copy.write(0, Buffer.from(text))
      copy.flush()
    }
    write('content-1')
    await pass(0.1)
    await runs.changes.barrier('', noSignal)
    t.match(runs.changes.status().paths, [{ path: 'f', state: 'suspect' }])
    await goOn((directory) => {
      const database = new DatabaseSync(join(directory, 'journal.db'))
      database.exec('DELETE FROM attempts')
      database.close()
    })
    write('content-2')
    await runs.changes.barrier('', noSignal)
    t.equal(files.text('f'), 'content-2')
  },
)

void t.test('what was removed while it was open is no orphan', async (t) => {
  const { files, runs, said, goOn } = await killed(t)
  const local = runs.changes.get('f')
  if (local?.kind !== 'file' || local.content.from !== 'spool') throw new Error('it should be in the spool')
  local.content.copy.retain()
  runs.changes.removeFile('f', undefined)
  await goOn(() => undefined)
  t.same(files.paths(), [])
  t.same(runs.changes.status().setAside, [])
  t.same(said, [])
})

void t.test('what the service has confirmed is no orphan', async (t) => {
  const { files, runs, said, goOn } = await killed(t)
  files.clearFaults()
  await goOn(() => undefined)
  t.equal(files.text('f'), 'content-1')
  await runs.crash()
  t.same(runs.changes.status().setAside, [])
  t.same(said, [])
})
