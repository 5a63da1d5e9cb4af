import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { failureOf, noSignal, startRig, until } from './rig.ts'

void t.test('a file that was closed is uploaded once, after 100 ms of quiet', async (t) => {
  const rig = await startRig(t)
  rig.write('notes.txt', 'hello')
  t.match(rig.changes.get('notes.txt'), { kind: 'file', size: 5 })
  await rig.pass(99)
  t.equal(rig.files.count('upload'), 0)
  await rig.pass(1)
  await until(() => rig.files.text('notes.txt') === 'hello')
  t.equal(rig.files.count('upload'), 1)
})

void t.test('up to 256 KiB are sent from memory, more as a file that is read piece by piece', async (t) => {
  const rig = await startRig(t)
  const sent: string[] = []
  const upload = rig.files.upload.bind(rig.files)
  rig.files.upload = (path, source, options) => {
    sent.push(`${path}: ${source instanceof Uint8Array ? 'bytes' : 'a file'}`)
    return upload(path, source, options)
  }
  for (const size of [1, 64 * 1024 + 1, 256 * 1024, 256 * 1024 + 1]) {
    rig.write(`of ${size}`, 'x'.repeat(size))
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text(`of ${size}`)?.length, size)
  }
  t.strictSame(sent, ['of 1: bytes', 'of 65537: bytes', 'of 262144: bytes', 'of 262145: a file'])
})

void t.test('created and removed before it was sent, a file costs no call', async (t) => {
  const rig = await startRig(t)
  rig.write('a', 'x')
  rig.changes.removeFile('a', undefined)
  await rig.pass(60_000)
  t.same(rig.files.log(), [])
  t.equal(rig.changes.get('a'), undefined)
})

void t.test('a temporary file renamed over another is one upload under the final name', async (t) => {
  const rig = await startRig(t)
  rig.files.put('doc', 'old')
  const over = { name: 'doc', isDirectory: false, size: 3, modifiedSeconds: 0 }
  rig.write('.doc.tmp', 'new content')
  rig.changes.renameFile('.doc.tmp', 'doc', undefined, over)
  await rig.pass(1000)
  await until(() => rig.files.text('doc') === 'new content')
  t.same(
    rig.files.log().filter((line) => !line.startsWith('list')),
    ['upload doc'],
  )
  t.ok(rig.files.count('list') <= 1)
})

void t.test(
  'a barrier waits for the upload, skips the settling, and fails while a path is parked',
  async (t) => {
    const rig = await startRig(t)
    rig.write('a', 'x')
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('a'), 'x')
    rig.files.fail({ verb: 'upload', path: 'b', error: 'bad_request', times: 9 })
    rig.write('b', 'y')
    t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { reason: 'parked', path: 'b' })
    t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { reason: 'parked', path: 'b' })
    rig.files.clearFaults()
    rig.changes.retry()
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('b'), 'y')
  },
)

void t.test('a barrier waits for what was first written to a file that the service had', async (t) => {
  const rig = await startRig(t)
  rig.files.put('log', 'one\n')
  const listed = { name: 'log', isDirectory: false, size: 4, modifiedSeconds: 0 }
  const file = join(rig.directory, 'base')
  writeFileSync(file, 'one\n')
  const copy = await rig.changes.stage('log', { file, listed })
  copy.retain()
  await copy.barrier(noSignal)
  t.equal(rig.files.count('upload'), 0, 'nothing was written')
  copy.write(undefined, Buffer.from('two\n'))
  await copy.barrier(noSignal)
  t.equal(rig.files.text('log'), 'one\ntwo\n')
  copy.release()
})

void t.test('opened for writing and left alone, a file that no listing shows yet stays', async (t) => {
  const rig = await startRig(t)
  await rig.listings.list('')
  rig.write('fresh', 'content')
  await rig.changes.barrier('', noSignal)
  const file = join(rig.directory, 'base')
  writeFileSync(file, 'content')
  const listed = { name: 'fresh', isDirectory: false, size: 7, modifiedSeconds: 0 }
  const copy = await rig.changes.stage('fresh', { file, listed })
  copy.retain()
  copy.release()
  t.match(rig.changes.get('fresh'), { kind: 'file', size: 7, confirmed: true })
  await rig.listings.list('', { maxAgeMs: 0 })
  t.equal(rig.changes.get('fresh'), undefined)
})

void t.test('an upload never sees a byte that was written after it began', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('log', undefined)
  copy.retain()
  copy.write(0, Buffer.from('first'))
  const gate = rig.files.hold({ verb: 'upload' })
  const barrier = copy.barrier(noSignal)
  await gate.arrived()
  copy.write(0, Buffer.from('SECOND'))
  gate.release()
  await barrier
  t.equal(rig.files.text('log'), 'first')
  t.equal(Buffer.from(copy.read(0, 100)).toString(), 'SECOND')
  await copy.barrier(noSignal)
  t.equal(rig.files.text('log'), 'SECOND')
  copy.release()
})

void t.test('what was not confirmed is there after a restart and goes on', async (t) => {
  const rig = await startRig(t)
  rig.files.put('old', 'was here')
  rig.write('dir/a', 'kept')
  rig.changes.makeDirectory('empty', undefined)
  rig.changes.renameFile(
    'old',
    'new',
    { name: 'old', isDirectory: false, size: 8, modifiedSeconds: 0 },
    undefined,
  )
  await rig.reopen()
  t.match(rig.changes.get('dir/a'), { kind: 'file', size: 4 })
  t.match(rig.changes.get('old'), { kind: 'absent' })
  t.match(rig.changes.get('new'), { kind: 'file', size: 8 })
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['dir/', 'dir/a', 'empty/', 'new'])
  t.equal(rig.files.text('new'), 'was here')
})

void t.test('renaming a file of the service puts the new name before it takes the old one', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'content')
  rig.changes.renameFile('a', 'b', { name: 'a', isDirectory: false, size: 7, modifiedSeconds: 0 }, undefined)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['b'])
  const order = rig.files.log().filter((line) => !line.startsWith('list'))
  t.same(order, ['download a', 'upload b', 'remove a'])
})

void t.test('names that are swapped over a third keep both contents', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'content of a')
  rig.files.put('b', 'content of b!')
  const entry = (name: string, size: number) => ({ name, isDirectory: false, size, modifiedSeconds: 0 })
  rig.changes.renameFile('a', 't', entry('a', 12), undefined)
  rig.changes.renameFile('b', 'a', entry('b', 13), undefined)
  rig.changes.renameFile('t', 'b', undefined, undefined)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['a', 'b'])
  t.equal(rig.files.text('a'), 'content of b!')
  t.equal(rig.files.text('b'), 'content of a')
})

void t.test('a directory of the service is renamed with all in it', async (t) => {
  const rig = await startRig(t)
  const remote = new Map()
  for (let number = 0; number < 100; number++) {
    rig.files.put(`from/f${number}`, `content ${number}`)
    remote.set(`f${number}`, {
      name: `f${number}`,
      isDirectory: false,
      size: `content ${number}`.length,
      modifiedSeconds: 0,
    })
  }
  rig.changes.renameDirectory('from', 'to', remote, true)
  t.match(rig.changes.get('from'), { kind: 'absent' })
  await rig.changes.barrier('', noSignal)
  const paths = rig.files.paths()
  t.equal(paths.length, 101)
  t.ok(paths.every((path) => path.startsWith('to/')))
  t.equal(rig.files.text('to/f42'), 'content 42')
  t.equal(rig.files.count('upload'), 100)
  t.equal(rig.files.count('download'), 100)
})

void t.test('a refused session pauses everything behind one probe and heals by itself', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ error: 'unauthorized', times: 1000 })
  for (let number = 0; number < 20; number++) rig.write(`f${number}`, 'x')
  await rig.pass(100)
  await until(() => rig.changes.status().paused !== undefined)
  const calls = rig.files.calls.length
  t.ok(calls <= 16)
  await rig.pass(1000)
  await until(() => rig.files.calls.length === calls + 1)
  await rig.pass(0)
  t.equal(rig.files.calls.length, calls + 1)
  rig.files.clearFaults()
  await rig.pass(60_000)
  await until(() => rig.files.paths().length === 20)
  t.equal(rig.changes.status().paused, undefined)
  t.equal(rig.changes.status().paths.length, 0)
})

void t.test(
  'a late commit of an upload that seemed to fail does not win over the newer content',
  async (t) => {
    const rig = await startRig(t)
    rig.files.fail({ verb: 'upload', error: 'network', applied: 'late' })
    rig.write('f', 'first')
    await rig.pass(100)
    await until(() => rig.files.count('upload') === 1)
    await rig.pass(0)
    rig.write('f', 'second')
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('f'), 'second')
    t.match(rig.changes.status().paths, [{ path: 'f', state: 'suspect' }])
    t.equal(rig.files.commitLate(), 1)
    t.equal(rig.files.text('f'), 'first')
    await rig.pass(10_000)
    await until(() => rig.files.text('f') === 'second')
    await rig.pass(60_000)
    await until(() => rig.changes.status().paths.length === 0)
    t.equal(rig.files.text('f'), 'second')
  },
)

void t.test("somebody else's change is saved beside ours before it is overwritten", async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'base')
  rig.write('f', 'ours')
  rig.files.put('f', 'theirs, longer')
  await rig.changes.drain(noSignal)
  t.equal(rig.files.text('f'), 'ours')
  const saved = rig.files.paths().find((path) => path.startsWith('f.conflict-'))
  t.equal(rig.files.text(saved!), 'theirs, longer')
})

void t.test('after a restart theirs keeps the name and ours is saved beside it', async (t) => {
  const rig = await startRig(t)
  rig.write('f', 'ours')
  rig.files.put('f', 'theirs')
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'theirs')
  const saved = rig.files.paths().find((path) => path.startsWith('f.conflict-'))
  t.equal(rig.files.text(saved!), 'ours')
})

void t.test('an empty directory comes to be without a call for it when a barrier asks', async (t) => {
  const rig = await startRig(t, {}, { mkdir: false })
  rig.changes.makeDirectory('empty', undefined)
  await rig.pass(10_000)
  t.notOk(rig.files.has('empty'))
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['empty/'])
})

void t.test('a file over the limit is refused at the write that crosses it, as it was before', async (t) => {
  const rig = await startRig(t, { maxFileBytes: 10 })
  const copy = rig.changes.create('f', undefined)
  copy.write(0, Buffer.from('12345678'))
  t.match(await failureOf(() => copy.write(8, Buffer.from('90!'))), { reason: 'tooLarge' })
  t.match(await failureOf(() => copy.truncate(11)), { reason: 'tooLarge' })
  t.equal(copy.size, 8)
  copy.write(8, Buffer.from('90'))
  await copy.barrier(noSignal)
  t.equal(rig.files.text('f'), '1234567890')
})

void t.test(
  'a removal waits for the children, and a directory removed and made again keeps nothing of them',
  async (t) => {
    const rig = await startRig(t)
    rig.files.put('d/a', '1')
    rig.files.put('d/b', '2')
    const entry = (name: string) => ({ name, isDirectory: false, size: 1, modifiedSeconds: 0 })
    rig.changes.removeFile('d/a', entry('a'))
    rig.changes.removeFile('d/b', entry('b'))
    rig.changes.removeDirectory('d', true)
    await rig.changes.barrier('', noSignal)
    t.same(rig.files.paths(), [])
    t.equal(rig.files.log().at(-1), 'remove d')
  },
)

void t.test('a barrier ends by lack of progress and says why', async (t) => {
  const rig = await startRig(t, { timeoutMs: 5000 })
  rig.files.fail({
    error: new ServiceError('server_error', 'upload f: the service failed', { status: 500 }),
    times: 99,
  })
  rig.write('f', 'x')
  const barrier = rig.changes.barrier('', noSignal)
  const ended = failureOf(() => barrier)
  for (let second = 0; second < 30; second++) await rig.pass(1000)
  t.match(await ended, { reason: 'timedOut', path: 'f', message: /kept here/ })
})

void t.test(
  'nested empty directories wait for their markers without waking each other for ever',
  async (t) => {
    const rig = await startRig(t, {}, { mkdir: false })
    for (const path of ['p', 'p/a', 'p/a/b', 'p/c', 'p/c/d']) rig.changes.makeDirectory(path, undefined)
    await rig.pass(1000)
    const gate = rig.files.hold({ verb: 'remove' })
    const drained = rig.changes.drain(noSignal)
    await gate.arrived(2)
    rig.write('p/file', 'x')
    rig.write('p/a/file', 'x')
    await rig.pass(100)
    gate.release()
    await drained
    t.same(rig.files.paths(), ['p/', 'p/a/', 'p/a/b/', 'p/a/file', 'p/c/', 'p/c/d/', 'p/file'])
  },
)

void t.test('draining does not wait for what a program goes on writing', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('log', undefined)
  copy.retain()
  const state = { isOver: false }
  copy.write(undefined, Buffer.from('first'))
  const drained = rig.changes.drain(noSignal).then(() => (state.isOver = true))
  const gate = rig.files.hold({ verb: 'upload' })
  for (let turn = 0; turn < 50 && !state.isOver; turn++) {
    await rig.pass(1000)
    copy.write(undefined, Buffer.from('more'))
    gate.releaseOne()
    await rig.pass(0)
  }
  t.ok(state.isOver)
  t.match(rig.files.text('log'), /^first/)
  gate.release()
  copy.flush()
  copy.release()
  await drained
})
