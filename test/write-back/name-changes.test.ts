import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { failureOf, listedFile, noSignal, startRig, until, type Rig } from './rig.ts'

async function stage(rig: Rig, path: string, content: string) {
  const file = join(rig.directory, 'base')
  writeFileSync(file, content)
  return rig.changes.stage(path, { file, listed: listedFile(path, content.length) })
}

void t.test(
  'renamed, opened for writing before it was fetched and closed unchanged, it keeps its new name',
  async (t) => {
    const rig = await startRig(t)
    rig.files.put('f', 'content')
    rig.changes.renameFile('f', 'g', listedFile('f', 7), undefined)
    const copy = await stage(rig, 'g', 'content')
    copy.retain()
    copy.release()
    t.match(rig.changes.get('g'), { kind: 'file', size: 7 })
    await rig.changes.barrier('', noSignal)
    t.same(rig.files.paths(), ['g'])
    t.equal(rig.files.count('download'), 0)
  },
)

void t.test('what is removed while it is opened for writing stays removed', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  const staging = stage(rig, 'f', 'content')
  rig.changes.removeFile('f', listedFile('f', 7))
  t.match(await failureOf(() => staging), { reason: 'interrupted' })
  t.match(rig.changes.get('f'), { kind: 'absent' })
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), [])
})

void t.test('what is renamed over a file that is opened for writing keeps its bytes', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'before')
  rig.files.put('g', 'renamed')
  const staging = stage(rig, 'f', 'before')
  rig.changes.renameFile('g', 'f', listedFile('g', 7), listedFile('f', 6))
  t.match(await failureOf(() => staging), { reason: 'interrupted' })
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['f'])
  t.equal(rig.files.text('f'), 'renamed')
})

void t.test(
  'opened for writing and not written, a file costs no upload and leaves nothing in the spool',
  async (t) => {
    const rig = await startRig(t)
    rig.files.put('f', 'content')
    const copy = await stage(rig, 'f', 'content')
    copy.retain()
    copy.flush()
    copy.release()
    await rig.pass(5000)
    t.equal(rig.files.count('upload'), 0)
    t.equal(rig.changes.get('f'), undefined)
  },
)

void t.test(
  'the second rename of a file whose name was taken again does not ask for the first',
  async (t) => {
    const rig = await startRig(t)
    rig.files.put('f', 'first')
    rig.changes.renameFile('f', 'g', listedFile('f', 5), undefined)
    rig.write('f', 'second')
    await rig.changes.barrier('', noSignal)
    t.same([rig.files.text('f'), rig.files.text('g')], ['second', 'first'])
    // somebody else takes what it became
    rig.files.take('g')
    await rig.listings.list('', { maxAgeMs: 0 })
    rig.changes.removeFile('f', listedFile('f', 6))
    await rig.changes.barrier('', noSignal)
    t.same(rig.files.paths(), [])
  },
)

void t.test(
  'a name that is taken again while its removal looks at what it became is not deleted in between',
  async (t) => {
    const rig = await startRig(t)
    rig.files.put('f', 'content')
    rig.changes.renameFile('f', 'd/g', listedFile('f', 7), undefined)
    const uploading = rig.files.hold({ verb: 'upload' })
    await rig.pass(1000)
    await uploading.arrived()
    const looking = rig.files.hold({ verb: 'list' })
    uploading.release()
    await looking.arrived()
    rig.write('f', 'new')
    looking.release()
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('f'), 'new')
    t.equal(rig.files.count('remove'), 0)
  },
)

void t.test('a file takes the name of a directory whose last upload was still under way', async (t) => {
  const rig = await startRig(t)
  rig.changes.makeDirectory('d', undefined)
  const gate = rig.files.hold({ verb: 'upload', path: 'd/f' })
  rig.write('d/f', 'below')
  await rig.pass(100)
  await gate.arrived()
  rig.changes.removeFile('d/f', undefined)
  rig.changes.removeDirectory('d', false)
  rig.write('d', 'a file now')
  const barrier = rig.changes.barrier('', noSignal)
  gate.release()
  await barrier
  t.equal(rig.files.text('d'), 'a file now')
})

void t.test('a directory takes the name of a file whose upload was still under way', async (t) => {
  const rig = await startRig(t)
  const gate = rig.files.hold({ verb: 'upload', path: 'd' })
  rig.write('d', 'a file')
  await rig.pass(100)
  await gate.arrived()
  rig.changes.removeFile('d', undefined)
  rig.changes.makeDirectory('d', undefined)
  rig.write('d/f', 'below')
  const barrier = rig.changes.barrier('', noSignal)
  gate.release()
  await barrier
  t.same(rig.files.paths(), ['d/', 'd/f'])
})

void t.test('a directory that an unclear call may have made is removed when it is taken back', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'makeDirectory', error: 'network', applied: 'first', times: 1 })
  rig.changes.makeDirectory('d', undefined)
  await rig.pass(100)
  await until(() => rig.files.has('d'))
  rig.changes.removeDirectory('d', false)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), [])
})

void t.test('an old name stays when what it became is not there as it was copied', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  rig.changes.renameFile('f', 'g', listedFile('f', 7), undefined)
  const uploading = rig.files.hold({ verb: 'upload' })
  const barrier = rig.changes.barrier('', noSignal)
  await uploading.arrived()
  const looking = rig.files.hold({ verb: 'list' })
  uploading.release()
  await looking.arrived()
  rig.files.put('g', 'changed by somebody')
  looking.release()
  await barrier
  t.same(rig.files.paths(), ['f', 'g'])
  t.equal(rig.files.count('remove'), 0)
})

void t.test('discarding what a file was renamed to gives it its old name back', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  rig.files.fail({ verb: 'upload', error: 'bad_request', times: 9 })
  rig.changes.renameFile('f', 'g', listedFile('f', 7), undefined)
  await failureOf(() => rig.changes.barrier('g', noSignal))
  t.equal(rig.changes.discardWithin('g'), 1)
  await rig.changes.barrier('', noSignal)
  await rig.pass(5000)
  t.same(rig.files.paths(), ['f'])
  t.equal(rig.changes.get('f'), undefined)
})

void t.test('what is wanted again while it is deleted is not taken for what is there', async (t) => {
  const rig = await startRig(t)
  rig.changes.makeDirectory('d', undefined)
  rig.write('f', 'content')
  const open = rig.changes.create('f', undefined)
  open.retain()
  open.write(0, Buffer.from('content'))
  await rig.changes.barrier('', noSignal)
  rig.changes.renameFile('f', 'g', undefined, undefined)
  rig.changes.removeDirectory('d', true)
  const gate = rig.files.hold({ verb: 'remove' })
  for (let turn = 0; turn < 20 && gate.waiting < 2; turn++) await rig.pass(500)
  t.equal(gate.waiting, 2)
  rig.changes.renameFile('g', 'f', undefined, undefined)
  rig.changes.makeDirectory('d', undefined)
  let reached = 0
  const barriers = ['d', 'f'].map((path) => rig.changes.barrier(path, noSignal).then(() => reached++))
  await rig.pass(0)
  t.equal(reached, 0)
  gate.release()
  await Promise.all(barriers)
  t.equal(rig.files.text('f'), 'content')
  t.ok(rig.files.has('d'))
  open.release()
})

void t.test(
  'a directory made again after a delete that ended unclearly is made on the service',
  async (t) => {
    const rig = await startRig(t)
    rig.changes.makeDirectory('d', undefined)
    await rig.changes.barrier('', noSignal)
    rig.files.fail({ verb: 'remove', error: 'network', applied: 'first' })
    rig.changes.removeDirectory('d', true)
    await rig.pass(100)
    t.notOk(rig.files.has('d'))
    rig.changes.makeDirectory('d', undefined)
    await rig.changes.barrier('d', noSignal)
    t.ok(rig.files.has('d'))
  },
)

void t.test(
  'a renamed directory that came to be with what is below it goes when the agent removes it',
  async (t) => {
    const rig = await startRig(t, {}, { mkdir: false })
    for (const path of ['d', 'd/below']) rig.changes.makeDirectory(path, undefined)
    rig.changes.renameDirectory('d', 'c', new Map(), false)
    await rig.changes.barrier('c/below', noSignal)
    t.match(rig.changes.get('c'), { kind: 'directory', remote: true })
    await rig.files.remove('c/below', {})
    await rig.files.remove('c', {})
    await rig.listings.list('', { maxAgeMs: 0 })
    // one listing may be behind
    for (let second = 0; second < 11; second++) await rig.pass(1000)
    t.equal(rig.changes.get('c'), undefined)
    t.equal(rig.changes.get('c/below'), undefined)
  },
)
