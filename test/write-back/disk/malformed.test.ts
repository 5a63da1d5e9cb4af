/**
 * A journal whose rows hold whatever SQLite can hold: the mount starts, what is whole goes on, and nothing is
 * read, written or exported outside of its directories.
 */
import fc from 'fast-check'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { join } from 'node:path'
import t from 'tap'
import { Journal } from '../../../src/write-back/disk/journal.ts'
import { startRig } from '../rig.ts'

const columns = {
  path: fc.constantFrom('f', 'd/f', '../../escaped', '/etc/passwd', '', '.', 'a//b', 'a\0b', '\ud800'),
  desired: fc.constantFrom('absent', 'directory', 'file', 'pipe', ''),
  generation: fc.constantFrom<SQLInputValue>(null, 1, 0, -1, 1.5, 2n ** 53n, 2n ** 62n, '../../escaped', 'x'),
  source: fc.constantFrom(
    null,
    '{',
    '1',
    '{"path":"../x","listed":{"name":"x","isDirectory":false,"size":1,"modifiedSeconds":0}}',
    '{"path":"o","listed":{"name":"o","isDirectory":false,"size":1,"modifiedSeconds":0}}',
    '{"path":"o","listed":null}',
  ),
  size: fc.constantFrom<SQLInputValue>(null, 3, -1, 'many', 2n ** 60n),
  crc32: fc.constantFrom<SQLInputValue>(null, 5, -1, 'sum'),
  boot: fc.constantFrom<SQLInputValue>('boot', 'other', 7),
  remote: fc.constantFrom(
    '{"is":"absent"}',
    '{"is":"directory"}',
    '{"is":"file","size":3}',
    '{"is":"file","size":-3}',
    '{"is":"elsewhere"}',
    '{"is":"uncertain","before":{"is":"absent"},"as":"file"}',
    '{"is":"uncertain","as":"file"}',
    '{"is":"uncertain","as":"file","before":'.repeat(5000) + 'null' + '}'.repeat(5000),
    'null',
    '[]',
    'not json',
  ),
  heirs: fc.constantFrom('[]', '["g"]', '["../g"]', '[1]', '{}', 'null', ''),
  since: fc.constantFrom<SQLInputValue>(0, 1, -1, 'then', 2n ** 62n),
  doubt: fc.constantFrom<SQLInputValue>(null, 1, 'now', 2n ** 62n),
  staysHere: fc.constantFrom<SQLInputValue>(0, 1, 'yes', 2n ** 62n),
}

const row = fc.tuple(...(Object.values(columns) as fc.Arbitrary<SQLInputValue>[]))
const attempt = fc.tuple(
  columns.path,
  columns.generation.filter((value) => value !== null),
  columns.size.filter((value) => value !== null),
  fc.constantFrom<SQLInputValue>('sum', 1, ''),
)
const setAside = fc.tuple(
  fc.constantFrom<SQLInputValue>(1, 2n ** 62n, -7),
  columns.path,
  fc.constantFrom<SQLInputValue>('why', 7),
  fc.constantFrom<SQLInputValue>(0, 'when', 2n ** 62n),
)
const attributes = fc.tuple(
  columns.path,
  ...Array.from({ length: 6 }, () => fc.constantFrom<SQLInputValue>(null, 1, 'x', '1e9', '99999', 2n ** 62n)),
)

function fill(file: string, tables: Readonly<Record<string, readonly (readonly SQLInputValue[])[]>>): void {
  const database = new DatabaseSync(file)
  for (const [table, rows] of Object.entries(tables))
    for (const values of rows)
      database
        .prepare(`INSERT OR REPLACE INTO ${table} VALUES (${values.map(() => '?').join()})`)
        .run(...values)
  database.close()
}

const isSafe = (path: string): boolean =>
  !path.includes('\0') && path.split('/').every((part) => !['', '.', '..'].includes(part))

const tables = fc.record({
  paths: fc.array(row, { minLength: 1, maxLength: 6 }),
  attempts: fc.array(attempt, { maxLength: 3 }),
  set_aside: fc.array(setAside, { maxLength: 3 }),
  attributes: fc.array(attributes, { maxLength: 3 }),
})

void t.test('whatever stands in the journal, what is read of it is whole', (t) => {
  const root = t.testdir()
  let count = 0
  fc.assert(
    fc.property(tables, (given) => {
      const file = join(root, `${count++}.db`)
      new Journal({ file, boot: 'boot' }).close()
      fill(file, given)
      const journal = new Journal({ file, boot: 'boot' })
      try {
        const damaged = journal.setDamagedAside(1)
        const rows = journal.rows()
        const paths = [
          ...damaged,
          ...rows.flatMap(({ path, heirs, source }) => [path, ...heirs, source?.path ?? 'none']),
          ...journal.listSetAside().map(({ path }) => path),
          ...journal.attributes().keys(),
        ]
        const numbers = [
          ...rows,
          ...rows.flatMap(({ attempts }) => attempts),
          ...journal.listSetAside(),
        ].flatMap(({ generation }) => generation ?? [])
        return (
          paths.every(isSafe) &&
          [...numbers, journal.newestGeneration() + 1].every(
            (number) => Number.isSafeInteger(number) && number > 0,
          ) &&
          journal.setDamagedAside(1).length === 0
        )
      } finally {
        journal.close()
      }
    }),
    { numRuns: 150 },
  )
  t.end()
})

void t.test('a run that takes such a journal up starts, uploads what is whole, and ends', async (t) => {
  await fc.assert(
    fc.asyncProperty(tables, async (given) => {
      const rig = await startRig(t)
      rig.write('whole', 'content')
      await rig.changes.close()
      fill(join(rig.directory, 'journal.db'), given)
      await rig.reopen()
      await rig.pass(70_000)
      await rig.pass(70_000)
      return (
        rig.files.paths().includes('whole') &&
        rig.files.paths().every((path) => isSafe(path.replace(/\/$/, '')))
      )
    }),
    { numRuns: 15 },
  )
})
