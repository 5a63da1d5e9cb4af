import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { filesBelow, makeTree } from '../../scripts/bench/fixtures.ts'

void t.test('the files of a tree are told with their sizes, and a tree that has gone has none', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'bench-test-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  makeTree(join(root, 'tree'), { files: 4, directories: 2, bytes: 100 })
  const found = [...filesBelow(join(root, 'tree'))].toSorted(([a], [b]) => (a < b ? -1 : 1))
  t.strictSame(found, [
    ['directory-0/file-0.txt', 100],
    ['directory-0/file-2.txt', 100],
    ['directory-1/file-1.txt', 100],
    ['directory-1/file-3.txt', 100],
  ])
  rmSync(join(root, 'tree'), { recursive: true })
  t.equal(filesBelow(join(root, 'tree')).size, 0)
  t.end()
})
