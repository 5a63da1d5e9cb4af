/** The double in memory keeps the contract, and its instruments do what they say. */
import t from 'tap'
import { everyEntry, readWhole, sessionFilesContract } from './session-files-contract.ts'
import { MemoryFiles } from './memory-files.ts'

void t.test('memory, with and without mkdir, keeps the contract of SessionFiles', async (t) => {
  await sessionFilesContract(t, { files: new MemoryFiles(), base: '', maxFileBytes: 52_428_800 })
  const files = new MemoryFiles({ mkdir: false, pageSize: 7, chunkBytes: 1000, modified: 'real' })
  await sessionFilesContract(t, { files, base: 'some/where', maxFileBytes: 52_428_800 })
})

void t.test('a listing is one call a page', async (t) => {
  const files = new MemoryFiles({ pageSize: 2 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) files.put(`dir/${name}`, name)
  t.equal((await everyEntry(files, 'dir')).size, 5)
  t.strictSame(files.log(), ['list dir', 'list dir', 'list dir'])
})

void t.test('a fault befalls as many calls as it says, and is carried out when it says', async (t) => {
  const files = new MemoryFiles()
  files.fail({ verb: 'upload', path: 'f', error: 'network', applied: 'first' })
  await t.rejects(files.upload('f', Buffer.from('1')), { code: 'network', ambiguous: true })
  t.equal(files.text('f'), '1')
  files.fail({ verb: 'upload', error: 'timeout', applied: 'late', times: 2 })
  await t.rejects(files.upload('g', Buffer.from('2')), { code: 'timeout', ambiguous: true })
  await t.rejects(files.upload('g', Buffer.from('3')), { code: 'timeout', ambiguous: true })
  t.equal(files.has('g'), false)
  t.equal(files.commitLate(), 2)
  t.equal(files.text('g'), '3')
  files.fail({ verb: 'remove', error: 'throttled' })
  await t.rejects(files.remove('g'), { code: 'throttled', ambiguous: false })
  await files.remove('g')
  t.equal(files.has('g'), false)
})

void t.test('a cut download hands out the bytes before the cut', async (t) => {
  const files = new MemoryFiles({ chunkBytes: 4 })
  files.put('f', '0123456789')
  files.fail({ verb: 'download', error: 'truncated', afterBytes: 6 })
  const download = await files.download('f')
  const seen: Uint8Array[] = []
  const reading = (async () => {
    for await (const piece of download.body) seen.push(piece)
  })()
  await t.rejects(reading, { code: 'truncated' })
  t.equal(Buffer.concat(seen).toString(), '012345')
  t.equal((await readWhole(files, 'f')).toString(), '0123456789')
})

void t.test('a gate holds calls until it is opened, and lets aborted ones out', async (t) => {
  const files = new MemoryFiles()
  const gate = files.hold({ verb: 'upload' })
  const first = files.upload('a', Buffer.from('1'))
  const abort = new AbortController()
  const second = files.upload('b', Buffer.from('2'), { signal: abort.signal })
  await gate.arrived(2)
  t.equal(files.running, 2)
  t.equal(gate.waiting, 2)
  abort.abort(new Error('enough'))
  await t.rejects(second, { code: 'aborted', ambiguous: true })
  t.strictSame(files.paths(), [])
  gate.release()
  await first
  t.strictSame(files.paths(), ['a'])
  t.equal(files.maxRunning, 2)
})

void t.test('a gate inside a body lets the bytes before it through', async (t) => {
  const files = new MemoryFiles()
  files.put('f', '0123456789')
  const gate = files.hold({ verb: 'download', path: 'f', afterBytes: 4 })
  const body = (await files.download('f')).body[Symbol.asyncIterator]()
  t.equal(Buffer.from((await body.next()).value as Uint8Array).toString(), '0123')
  const rest = body.next()
  await gate.arrived()
  gate.release()
  t.equal(Buffer.from((await rest).value as Uint8Array).toString(), '456789')
  t.equal((await body.next()).done, true)
})
