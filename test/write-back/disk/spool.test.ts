import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OpenFiles } from '../../../src/cache/open-files.ts'
import { Spool } from '../../../src/write-back/disk/spool.ts'

void t.test('a generation whose name cannot be written beside it keeps its bytes, and nobody fails', (t) => {
  const directory = join(t.testdir(), 'spool')
  const spool = new Spool(directory, 0, new OpenFiles(10))
  const generation = spool.createEmpty()
  spool.write(generation, 0, Buffer.from('bytes'))
  /* too long for its slot: it needs a file of its own, and there is something in the way */
  mkdirSync(spool.file(generation))
  spool.name(generation, 'd/'.repeat(2000))
  t.equal(spool.nameOf(generation), undefined)
  t.equal(Buffer.from(spool.read(generation, 0, 100)).toString(), 'bytes')
  spool.close()
  t.end()
})
