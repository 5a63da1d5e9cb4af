import t from 'tap'
import { failureOf, listedFile, noSignal, quiet, startRig, until, type Rig } from '../rig.ts'

void t.test('after a rename during the upload a barrier waits for the new name', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('f', undefined)
  copy.write(0, Buffer.from('content'))
  const first = rig.files.hold({ verb: 'upload', path: 'f' })
  const second = rig.files.hold({ verb: 'upload', path: 'd/g' })
  copy.flush()
  await rig.pass(100)
  await first.arrived()
  rig.changes.renameFile('f', 'd/g', undefined, undefined)
  let isReached = false
  const barrier = rig.changes.barrier('d', noSignal).then(() => (isReached = true))
  first.release()
  await second.arrived()
  t.notOk(isReached)
  second.release()
  await barrier
  t.equal(rig.files.text('d/g'), 'content')
})

void t.test('one that is interrupted ends at once, and the upload goes on', async (t) => {
  const rig = await startRig(t)
  const gate = rig.files.hold({ verb: 'upload' })
  rig.write('f', 'x')
  const interrupt = new AbortController()
  const barrier = failureOf(() => rig.changes.barrier('f', interrupt.signal))
  await gate.arrived()
  interrupt.abort()
  t.match(await barrier, { reason: 'interrupted' })
  gate.release()
  await until(() => rig.files.text('f') === 'x')
  t.equal(rig.files.count('upload'), 1)
})

void t.test('a barrier over one directory does not wait for another', async (t) => {
  const rig = await startRig(t)
  const gate = rig.files.hold({ verb: 'upload', path: 'other/f' })
  rig.write('other/f', 'slow')
  rig.write('here/f', 'fast')
  rig.changes.makeDirectory('here/empty', undefined)
  rig.changes.removeFile('here/gone', { name: 'gone', isDirectory: false, size: 1, modifiedSeconds: 0 })
  await rig.changes.barrier('here', noSignal)
  t.same(rig.files.paths(), ['here/', 'here/empty/', 'here/f'])
  gate.release()
})

void t.test('bytes that go over the wire are progress; silence is not', async (t) => {
  const rig = await startRig(t, { timeoutMs: 10_000 })
  const gate = rig.files.hold({ verb: 'upload', path: 'slow' })
  rig.write('slow', 'x')
  const ended = failureOf(() => rig.changes.barrier('slow', noSignal))
  for (let second = 0; second < 8; second++) await rig.pass(1000)
  rig.write('quick', 'y')
  await rig.changes.barrier('quick', noSignal)
  for (let second = 0; second < 8; second++) await rig.pass(1000)
  let isOver = false
  void ended.then(() => (isOver = true))
  await rig.pass(0)
  t.notOk(isOver)
  for (let second = 0; second < 4; second++) await rig.pass(1000)
  t.match(await ended, { reason: 'timedOut', path: 'slow' })
  gate.release()
})

void t.test('content that was refused for good and has changed meanwhile is not given up', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('f', undefined)
  copy.retain()
  copy.write(0, Buffer.from('too much'))
  rig.files.fail({ verb: 'upload', error: 'too_large' })
  const gate = rig.files.hold({ verb: 'upload' })
  copy.flush()
  await rig.pass(100)
  await gate.arrived()
  copy.truncate(3)
  gate.release()
  copy.release()
  await rig.changes.barrier('f', noSignal)
  t.equal(rig.files.text('f'), 'too')
})

void t.test('a parked file is tried again when it is written, and tells each handle once', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('f', undefined)
  copy.retain()
  rig.files.fail({ verb: 'upload', error: 'too_large' })
  copy.write(0, Buffer.from('a'))
  t.match(await failureOf(() => copy.barrier(noSignal)), { reason: 'parked' })
  const told = { error: undefined }
  t.throws(() => copy.report(told))
  copy.report(told)
  copy.write(0, Buffer.from('b'))
  await copy.barrier(noSignal)
  t.equal(rig.files.text('f'), 'b')
  t.same(rig.changes.status().paths, [])
  copy.release()
})

void t.test('draining ends by lack of progress when a path in doubt cannot be looked at', async (t) => {
  const rig = await startRig(t, { timeoutMs: 30_000 })
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
  rig.write('f', 'x')
  await rig.pass(100)
  await rig.pass(1000)
  await until(() => rig.files.count('upload') === 2)
  rig.files.fail({ verb: 'list', error: 'network', times: 1000 })
  const drained = failureOf(() => rig.changes.drain(noSignal))
  for (let second = 0; second < 120; second++) await rig.pass(1000)
  t.match(await drained, { reason: 'timedOut', path: 'f', message: /kept here/ })
})

/** What a wait fails with, seconds of which `each` goes before; one that does not end by itself in time is a failure. */
async function failureWithin(
  rig: Rig,
  seconds: number,
  wait: Promise<void>,
  each: (second: number) => void = () => undefined,
): Promise<unknown> {
  const state = { isOver: false }
  const failure = failureOf(() => wait).finally(() => (state.isOver = true))
  for (let second = 0; second < seconds && !state.isOver; second++) {
    each(second)
    await rig.pass(1000)
  }
  if (!state.isOver) throw new Error('the wait does not end')
  return failure
}

void t.test('a service that fails every call is no progress, and the wait ends', async (t) => {
  const rig = await startRig(t, { timeoutMs: 30_000 })
  rig.files.fail({ verb: 'upload', error: 'server_error', times: 1000 })
  rig.write('f', 'x')
  const failure = await failureWithin(rig, 70, rig.changes.barrier('f', noSignal))
  t.match(failure, { reason: 'timedOut', path: 'f', message: /injected server_error/ })
})

void t.test('a path that does nothing but fail ends its wait, however well others go', async (t) => {
  const rig = await startRig(t, { timeoutMs: 30_000 })
  rig.files.fail({ verb: 'upload', path: 'bad', error: 'server_error', times: 1000 })
  rig.write('bad', 'x')
  const barrier = rig.changes.barrier('', noSignal)
  const failure = await failureWithin(rig, 100, barrier, (second) => rig.write('good', String(second)))
  t.match(failure, { reason: 'timedOut', path: 'bad' })
  t.ok(rig.files.has('good'))
})

void t.test('a wait that begins later gives an earlier one no more time', async (t) => {
  const rig = await startRig(t, { timeoutMs: 30_000 })
  const gate = rig.files.hold({ verb: 'upload' })
  rig.write('f', 'x')
  const failure = await failureWithin(rig, 40, rig.changes.barrier('f', noSignal), () => {
    void rig.changes.barrier('f', noSignal).catch(() => undefined)
  })
  t.match(failure, { reason: 'timedOut', path: 'f' })
  gate.release()
  await until(() => rig.files.has('f'))
})

void t.test('a renamed file that comes slowly is progress', async (t) => {
  const rig = await startRig(t, { timeoutMs: 30_000 })
  const size = 3 * 256 * 1024
  rig.files.put('a', Buffer.alloc(size, 'a'))
  const gates = [1, 2, 3].map((piece) =>
    rig.files.hold({ verb: 'download', path: 'a', afterBytes: piece * 256 * 1024 - 1 }),
  )
  rig.changes.renameFile('a', 'b', listedFile('a', size), undefined)
  let isReached = false
  const barrier = rig.changes.barrier('b', noSignal).then(() => (isReached = true))
  for (const gate of gates) {
    await gate.arrived()
    for (let second = 0; second < 15; second++) await rig.pass(1000)
    t.notOk(isReached)
    gate.release()
  }
  await barrier
  t.equal(rig.files.bytes('b')?.length, size)
})

void t.test(
  'a marker is gone when the barrier ends, also where its directory came to be otherwise',
  async (t) => {
    const rig = await startRig(t, {}, { mkdir: false })
    const marker = 'a/.mount-session-marker'
    rig.changes.makeDirectory('a', undefined)
    const first = rig.changes.barrier('', noSignal)
    rig.files.fail({ verb: 'remove', path: marker, error: 'network', times: 2 })
    await until(() => rig.files.count('remove', marker) === 1)
    rig.changes.makeDirectory('a/b', undefined)
    const second = rig.changes.barrier('', noSignal)
    const shown = Promise.all([first, second]).then(() => rig.files.text(marker))
    for (let second = 0; second < 10; second++) await rig.pass(1000)
    t.equal(await shown, undefined)
  },
)

void t.test(
  'a directory that came to be while it was looked for, and that the agent removes, is gone',
  async (t) => {
    const rig = await startRig(t, {}, { mkdir: false })
    rig.changes.makeDirectory('a', undefined)
    const look = rig.files.hold({ verb: 'list', path: '' })
    const first = rig.changes.barrier('a', noSignal)
    await look.arrived()
    rig.write('a/b', 'content')
    await rig.changes.barrier('a/b', noSignal)
    await first
    rig.files.take('a/b')
    rig.files.take('a')
    look.release()
    await quiet()
    await rig.listings.list('', { signal: noSignal, maxAgeMs: 0 })
    // one listing may be behind
    for (let second = 0; second < 11; second++) await rig.pass(1000)
    t.equal(rig.changes.get('a'), undefined)
    t.equal(rig.changes.get('a/b'), undefined)
  },
)
