/**
 * Caches, write-back and prefetch as the program puts them together, over the files of a test. Layer: tests.
 *
 * Invariant: options are those of the table unless a test says otherwise; every name travels, nothing is drawn
 * by chance, and what cannot be ends a test.
 */
import { join } from 'node:path'
import { silentLogger } from '../src/log.ts'
import { defaultValues } from '../src/options/table.ts'
import { assemble, type Assembly, type AssemblyOptions } from '../src/session/assemble.ts'

export type TestAssemblyOptions = Pick<AssemblyOptions, 'files' | 'clock'> &
  Partial<AssemblyOptions> & {
    /** Of the journal; the contents lie in `cache` below it. */
    readonly directory: string
  }

export function assembleOver({ directory, ...options }: TestAssemblyOptions): Promise<Assembly> {
  return assemble({
    ...defaultValues(),
    localNames: [],
    logger: silentLogger,
    boot: 'boot-1',
    random: () => 0,
    onImpossible: (error) => {
      throw error
    },
    journalDirectory: directory,
    contentDirectory: join(directory, 'cache'),
    ...options,
  })
}
