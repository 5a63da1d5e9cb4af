import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DirectoryOrder } from '../../src/emulator/directory-order.ts'

const byName = (name: string): string => name
const longAgo = new Date('2026-01-01T00:00:00Z')

/** A directory of 1,200 files that was last changed long ago. */
function bigDirectory(directory: string): string {
  for (let index = 0; index < 1200; index++) fs.writeFileSync(join(directory, `file-${index}`), '')
  fs.utimesSync(directory, longAgo, longAgo)
  return directory
}

void t.test('a big directory is read once while it stays as it is', (t) => {
  const directory = bigDirectory(t.testdir())
  const order = new DirectoryOrder()
  const names = order.names(directory, byName, false)
  t.strictSame(names, fs.readdirSync(directory).sort())
  t.equal(order.names(directory, byName, false), names)
  t.strictSame(order.names(directory, byName, true), [...names].reverse())
  t.end()
})

void t.test('what is made or removed is seen at once', (t) => {
  const directory = bigDirectory(t.testdir())
  const order = new DirectoryOrder()
  order.names(directory, byName, false)
  fs.writeFileSync(join(directory, 'another'), '')
  t.equal(order.names(directory, byName, false)[0], 'another')
  fs.rmSync(join(directory, 'another'))
  t.equal(order.names(directory, byName, false)[0], 'file-0')
  t.end()
})
