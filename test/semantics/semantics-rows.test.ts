/** Every row of semantics.md is held by a test that is there, under the title that the row names. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const document = readFileSync(join(root, 'src', 'filesystem', 'semantics.md'), 'utf8')

/** Titles as patterns: what a template fills in may be anything. */
function titlesOf(file: string): RegExp[] {
  const source = readFileSync(join(root, file), 'utf8')
  const titles = [
    ...source.matchAll(/(?:\.test|\bcontract)\(\s*(?:'((?:\\.|[^'\\])*)'|`((?:\\.|[^`\\])*)`)/g),
  ]
  return titles.map(([, quoted, template]) => {
    const title = (quoted ?? template ?? '').replaceAll(/\\(.)/g, '$1')
    const parts = title.split(/\$\{[^}]*\}/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${parts.join('.+')}$`)
  })
}

const rows = document
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (Operation|The agent …) \|/.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )

void t.test('there are rows, each of four columns', (t) => {
  t.ok(rows.length > 60)
  for (const row of rows) t.equal(row.length, 4, row[0] ?? '')
  t.end()
})

for (const [operation = '', , , test = ''] of rows) {
  void t.test(`${operation}: has a test`, (t) => {
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? []
    t.ok(existsSync(join(root, file)), file)
    t.ok(
      titlesOf(file).some((pattern) => pattern.test(title)),
      `${file}: ${title}`,
    )
    t.end()
  })
}
