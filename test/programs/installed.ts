/**
 * Which of the programs that the tests run are on this machine. Layer: tests.
 *
 * Invariant: a test is left out only for a program that is missing, and says which package has it.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** For the options of a test: `needs('fio')`. `packages`: Debian's, where it is not called like the program. */
export function needs(program: string, debianPackage: string = program): { readonly skip?: string } {
  const directories = (process.env['PATH'] ?? '').split(':')
  if (directories.some((directory) => existsSync(join(directory, program)))) return {}
  return { skip: `${program} is missing: apt-get install ${debianPackage}` }
}
