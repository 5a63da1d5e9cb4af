/**
 * The file in which a daemon writes down what the kernel knows, damaged. Layer: test.
 *
 * Invariant: it stays the file that the daemon has open, so that nothing is written anew.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'

type Header = Readonly<Record<string, unknown>>

/** Of the only session that is mounted there. `root`: of the workplace. */
export function stateDirectory({ root }: { readonly root: string }): string {
  const state = join(root, 'state')
  const names = fs.readdirSync(state, { recursive: true, encoding: 'utf8' })
  const found = names.find((each) => each.endsWith('/kernel-state'))
  if (found === undefined) throw new Error('there is no state of a mount')
  return join(state, found, '..')
}

/** Changes its first line in place, at the same length: the daemon has mapped the file, and would end if it were cut. */
export function damageState(mounted: { readonly root: string }, change: (header: Header) => Header): void {
  const file = join(stateDirectory(mounted), 'kernel-state')
  const [first = ''] = fs.readFileSync(file, 'utf8').split('\n', 1)
  const changed = JSON.stringify(change(JSON.parse(first) as Header)).padEnd(first.length)
  if (Buffer.byteLength(changed) !== Buffer.byteLength(first)) throw new Error('it is longer than it was')
  const descriptor = fs.openSync(file, 'r+')
  fs.writeSync(descriptor, changed, 0)
  fs.closeSync(descriptor)
}
