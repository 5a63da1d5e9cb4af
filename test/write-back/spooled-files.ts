/**
 * The generations in the directory of a journal, as tests look at them and damage them. Layer: test rig.
 *
 * Invariant: whether a generation has a file of its own or not makes no difference here.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SmallFiles, smallFilesIn } from '../../src/write-back/disk/small-files.ts'
import { bytesIn } from '../../src/write-back/disk/spool.ts'

export function spooledIn(journalDirectory: string): string[] {
  const own = readdirSync(join(journalDirectory, 'spool'))
  return [...own, ...[...smallFilesIn(journalDirectory).keys()].map(String)]
}

export function spooledText(journalDirectory: string, generation: number | string): string {
  const bytes = bytesIn(journalDirectory)(Number(generation))
  if (bytes === undefined) throw new Error(`the spool has no generation ${generation}`)
  return typeof bytes === 'string' ? readFileSync(bytes, 'utf8') : Buffer.from(bytes).toString()
}

/** Its bytes are these now; undefined: it is not there any more. Nobody may have the spool open. */
export function damageSpooled(
  journalDirectory: string,
  generation: number | string,
  text: string | undefined,
): void {
  const file = join(journalDirectory, 'spool', String(generation))
  if (existsSync(file)) {
    if (text === undefined) rmSync(file)
    else writeFileSync(file, text)
    return
  }
  const small = new SmallFiles(journalDirectory)
  try {
    if (text === undefined) small.remove(Number(generation))
    else {
      small.truncate(Number(generation), 0)
      small.write(Number(generation), 0, Buffer.from(text))
    }
  } finally {
    small.close()
  }
}
