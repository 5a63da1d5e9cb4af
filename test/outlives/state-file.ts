/**
 * The file in which a daemon writes down what the kernel knows, damaged. Layer: test.
 *
 * Invariant: it stays the file that the daemon has open, so that nothing is written anew.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'

type Header = Readonly<Record<string, unknown>>

/** Changes its first line. `root`: of the workplace. */
export function damageState({ root }: { readonly root: string }, change: (header: Header) => Header): void {
  const state = join(root, 'state')
  const name = fs
    .readdirSync(state, { recursive: true, encoding: 'utf8' })
    .find((each) => each.endsWith('/kernel-state'))
  if (name === undefined) throw new Error('there is no state of a mount')
  const file = join(state, name)
  const [first = '', ...rest] = fs.readFileSync(file, 'utf8').split('\n')
  fs.writeFileSync(file, [JSON.stringify(change(JSON.parse(first) as Header)), ...rest].join('\n'))
}
