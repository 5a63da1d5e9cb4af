/**
 * What every implementation of `SessionFiles` must do, as one suite. Run by the tests beside it on the
 * double in memory, on the client over the emulator, and on the client over a live service.
 *
 * Invariant: it leans on nothing but the interface: no order of entries, no page size, no modified time.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ServiceError, type ServiceErrorCode } from '../../src/client/errors.ts'
import type { RemoteEntry, SessionFiles } from '../../src/client/session-files.ts'

export interface ContractSubject {
  readonly files: SessionFiles
  /** Everything is made below this directory, which need not exist yet. */
  readonly base: string
  readonly maxFileBytes: number
  /** Files of the directory that takes more than one page; default 230. */
  readonly manyFiles?: number
}

export async function everyEntry(files: SessionFiles, directory: string): Promise<Map<string, RemoteEntry>> {
  const found = new Map<string, RemoteEntry>()
  for await (const page of files.list(directory)) {
    for (const entry of page) {
      if (found.has(entry.name)) throw new Error(`${entry.name} is listed twice`)
      found.set(entry.name, entry)
    }
  }
  return found
}

export async function readWhole(files: SessionFiles, path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of (await files.download(path)).body) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** A call that must fail, and the codes with which it may. */
async function fails(t: Test, call: Promise<unknown>, ...codes: ServiceErrorCode[]): Promise<void> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ServiceError)) t.fail('fails with a ServiceError', { found: error })
  else t.ok(codes.includes(error.code), `fails with ${codes.join(' or ')}`, { found: error.code })
}

const awkwardNames = [
  'with space',
  'per%20cent%',
  'plus+plus',
  'hash#query?a=b&c',
  `quote'"\`$`,
  'semi;colon,comma',
  'smile \u{1F600}',
  'caf\u00e9 composed',
  'cafe\u0301 decomposed',
  'new\nline',
  ' leading and trailing ',
  '-rf',
  '...',
  'n'.repeat(255),
]

export async function sessionFilesContract(t: Test, subject: ContractSubject): Promise<void> {
  const { files, base } = subject
  const at = (name: string): string => (base === '' ? name : `${base}/${name}`)
  const local = await mkdtemp(join(tmpdir(), 'contract-'))
  t.teardown(() => rm(local, { recursive: true }))

  await t.test('an uploaded file is listed with its size and comes back whole', async (t) => {
    await files.upload(at('deep/er/hello.txt'), Buffer.from('hello'))
    t.equal((await readWhole(files, at('deep/er/hello.txt'))).toString(), 'hello')
    const entry = (await everyEntry(files, at('deep/er'))).get('hello.txt')
    t.match(entry, { isDirectory: false, size: 5 })
    t.type(entry?.modifiedSeconds, 'number')
    t.equal((await everyEntry(files, at('deep'))).get('er')?.isDirectory, true, 'its parents came to be')
  })

  await t.test('an upload replaces what was there', async (t) => {
    await files.upload(at('again'), Buffer.from('a longer first'))
    await files.upload(at('again'), Buffer.from('second'))
    t.equal((await readWhole(files, at('again'))).toString(), 'second')
    t.equal((await everyEntry(files, base)).get('again')?.size, 6)
  })

  await t.test('an empty file is a file', async (t) => {
    await files.upload(at('empty'), new Uint8Array(0))
    t.equal((await readWhole(files, at('empty'))).length, 0)
    t.match((await everyEntry(files, base)).get('empty'), { isDirectory: false, size: 0 })
  })

  await t.test('of a local file exactly the given size is sent', async (t) => {
    const file = join(local, 'source')
    const bytes = Buffer.alloc(300_000, 'abcdefg')
    await writeFile(file, bytes)
    await files.upload(at('from-disk'), { file, size: 299_999 })
    t.ok((await readWhole(files, at('from-disk'))).equals(bytes.subarray(0, 299_999)))
    await files.upload(at('from-disk'), { file, size: 0 })
    t.equal((await readWhole(files, at('from-disk'))).length, 0)
  })

  await t.test('a local file that is too short fails and leaves the old content', async (t) => {
    const file = join(local, 'short')
    await writeFile(file, 'only this')
    await files.upload(at('kept'), Buffer.from('before'))
    await fails(t, files.upload(at('kept'), { file, size: 10_000 }), 'bad_request')
    t.equal((await readWhole(files, at('kept'))).toString(), 'before')
  })

  await t.test('over the limit nothing is sent', async (t) => {
    const size = subject.maxFileBytes + 1
    await fails(t, files.upload(at('big'), { file: '/nowhere', size }), 'too_large')
  })

  await t.test('a download says its length, and can be left early', async (t) => {
    await files.upload(at('long'), Buffer.alloc(400_000, 1))
    const download = await files.download(at('long'))
    if (download.length !== undefined) t.equal(download.length, 400_000)
    for await (const piece of download.body) {
      t.ok(piece.length > 0)
      break
    }
    t.equal((await readWhole(files, at('long'))).length, 400_000, 'the next call goes on as ever')
  })

  await t.test('every awkward name survives a round trip', async (t) => {
    for (const name of awkwardNames) {
      const path = at(`names/${name}/${name}`)
      await files.upload(path, Buffer.from(name))
      t.equal((await readWhole(files, path)).toString(), name)
      t.strictSame([...(await everyEntry(files, at(`names/${name}`))).keys()], [name])
    }
    t.strictSame([...(await everyEntry(files, at('names'))).keys()].sort(), [...awkwardNames].sort())
  })

  await t.test('a directory of many files is listed whole, each name once', async (t) => {
    const names = Array.from({ length: subject.manyFiles ?? 230 }, (_, index) => `file-${index}`)
    await Promise.all(names.map((name) => files.upload(at(`many/${name}`), Buffer.from(name))))
    t.strictSame([...(await everyEntry(files, at('many'))).keys()].sort(), names.sort())
  })

  await t.test('what is not there is not found', async (t) => {
    await fails(t, everyEntry(files, at('missing')), 'not_found')
    await fails(t, files.download(at('missing')), 'not_found')
    await fails(t, files.remove(at('missing')), 'not_found')
  })

  await t.test('a removed file is gone, its directory stays until it is removed itself', async (t) => {
    await files.upload(at('room/one'), Buffer.from('1'))
    await files.upload(at('room/two'), Buffer.from('2'))
    await files.remove(at('room/one'))
    t.strictSame([...(await everyEntry(files, at('room'))).keys()], ['two'])
    await fails(t, files.remove(at('room')), 'conflict')
    t.equal((await readWhole(files, at('room/two'))).toString(), '2', 'a refused removal takes nothing')
    await files.remove(at('room/two'))
    await files.remove(at('room'))
    t.notOk((await everyEntry(files, base)).has('room'))
  })

  await t.test('a file is not put in the place of a directory, nor below a file', async (t) => {
    await files.upload(at('kinds/file'), Buffer.from('x'))
    await fails(t, files.upload(at('kinds'), Buffer.from('y')), 'conflict', 'bad_request')
    await fails(t, files.upload(at('kinds/file/below'), Buffer.from('y')), 'conflict', 'bad_request')
    t.equal((await readWhole(files, at('kinds/file'))).toString(), 'x')
  })

  await t.test('a directory is made with its parents, or there is no such call', async (t) => {
    const error: unknown = await files.makeDirectory(at('made/in/depth')).catch((reason: unknown) => reason)
    if (error === undefined) {
      t.equal((await everyEntry(files, at('made/in/depth'))).size, 0)
      t.equal((await everyEntry(files, at('made/in'))).get('depth')?.isDirectory, true)
    } else {
      t.match(error, { code: 'unsupported' })
      await fails(t, everyEntry(files, at('made')), 'not_found')
    }
  })

  await t.test('an aborted signal fails every call with aborted', async (t) => {
    await files.upload(at('there'), Buffer.from('x'))
    const signal = AbortSignal.abort(new Error('enough'))
    await fails(t, files.download(at('there'), { signal }), 'aborted')
    await fails(t, files.upload(at('there'), Buffer.from('y'), { signal }), 'aborted')
    await fails(t, files.remove(at('there'), { signal }), 'aborted')
    await fails(t, files.makeDirectory(at('elsewhere'), { signal }), 'aborted')
    const first = files.list(base, { signal })[Symbol.asyncIterator]().next()
    await fails(t, first, 'aborted')
    t.equal((await readWhole(files, at('there'))).toString(), 'x')
  })
}
