import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SessionFiles, UploadSource } from '../../src/client/session-files.ts'
import { putTree } from '../../src/transfer/put-tree.ts'
import { MemoryFiles } from '../contract/memory-files.ts'

void t.test('everything is sent by one request each, empty directories too, side by side', async (t) => {
  const tree = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, `${i}`]))
  const local = t.testdir({ many: tree, empty: { deep: {} }, top: 'top' })
  const files = new MemoryFiles()
  const gate = files.hold({ verb: 'upload' })
  const sent = putTree(files, local, 'to', { concurrency: 30 })
  await gate.arrived(30)
  gate.release()
  t.match(await sent, { files: 101, directories: 1, failures: [] })
  t.strictSame([files.count('upload'), files.count('makeDirectory'), files.count('list')], [101, 1, 0])
  t.equal(files.maxRunning, 30)
  t.equal(files.text('to/many/f77'), '77')
  t.ok(files.has('to/empty/deep'))
})

void t.test(
  'a service that makes no directories is given one with something in it that is taken away',
  async (t) => {
    const files = new MemoryFiles({ mkdir: false })
    t.match(await putTree(files, t.testdir({ empty: {} }), 'to'), { directories: 1, failures: [] })
    t.strictSame(files.paths(), ['to/', 'to/empty/'])
  },
)

void t.test('with one file over the limit nothing is sent', async (t) => {
  const local = t.testdir({ small: 'x', large: 'x'.repeat(11), larger: 'x'.repeat(12) })
  const files = new MemoryFiles()
  await t.rejects(putTree(files, local, '', { maxFileBytes: 10 }), {
    name: 'TransferError',
    code: 'too_large',
    paths: [join(local, 'large'), join(local, 'larger')],
  })
  t.strictSame(files.log(), [])
  t.match(await putTree(files, local, '', { maxFileBytes: 10, exclude: ['large*'] }), { files: 1 })
})

void t.test(
  'links are followed, loops and what is no file are told, and so is a name that is no text',
  async (t) => {
    const local = t.testdir({ real: { inside: 'x' } })
    fs.symlinkSync('real', join(local, 'linked'))
    fs.symlinkSync('..', join(local, 'real/up'))
    fs.symlinkSync('nowhere', join(local, 'dangling'))
    fs.writeFileSync(Buffer.concat([Buffer.from(`${local}/`), Buffer.from([0xff, 0x41])]), 'x')
    const files = new MemoryFiles()
    const { failures } = await putTree(files, local, '')
    t.equal(files.text('linked/inside'), 'x')
    t.strictSame(failures.map(({ error }) => (error as { readonly code?: string }).code).toSorted(), [
      'ENOENT',
      'bad_name',
      'not_a_file',
      'not_a_file',
    ])
  },
)

void t.test(
  'a file that is written while it is sent is sent again, and an error when it is again',
  async (t) => {
    const local = t.testdir({ log: 'one' })
    const sent: number[] = []
    const growing = (times: number): SessionFiles => {
      const files = new MemoryFiles()
      let left = times
      return Object.assign(Object.create(files) as SessionFiles, {
        upload: (path: string, source: UploadSource) => {
          if (left-- > 0) fs.appendFileSync(join(local, 'log'), ', more')
          sent.push((source as { readonly size: number }).size)
          return files.upload(path, source)
        },
      })
    }
    t.match(await putTree(growing(1), local, ''), { files: 1, bytes: 9, failures: [] })
    t.strictSame(sent, [3, 9])
    t.match(await putTree(growing(2), local, ''), {
      files: 0,
      bytes: 0,
      failures: [{ error: { code: 'changing' } }],
    })
  },
)
