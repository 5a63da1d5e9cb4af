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
import { OpenFiles } from '../src/cache/open-files.ts'
import { PlainContents, PlainListings } from '../src/cache/plain.ts'
import { WriteBack } from '../src/write-back/write-back.ts'

export type TestAssemblyOptions = Pick<AssemblyOptions, 'files' | 'clock'> &
  Partial<AssemblyOptions> & {
    /** Of the journal; the contents lie in `cache` below it. */
    readonly directory: string
  }

export function assembleOver(options: TestAssemblyOptions): Promise<Assembly> {
  return assemble(forTests(options))
}

/** The same without a memory: listings and contents that ask each time, and no prefetch. */
export async function assemblePlain(
  options: TestAssemblyOptions,
): Promise<Pick<Assembly, 'changes'> & { listings: PlainListings; contents: PlainContents }> {
  const { files, clock } = options
  const given = forTests(options)
  const listings = new PlainListings(files, clock)
  const contents = new PlainContents(files, listings, clock, given.contentDirectory)
  const directory = given.journalDirectory
  const openFiles = new OpenFiles(given.maxOpenFiles)
  const changes = await WriteBack.open({ ...given, directory, listings, contents, openFiles })
  return { listings, contents, changes }
}

function forTests({ directory, ...options }: TestAssemblyOptions): AssemblyOptions {
  return {
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
    maxOpenFiles: 100,
    ...options,
  }
}
