import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { listedFile, noSignal, startRig, type Rig } from '../rig.ts'

async function open(rig: Rig, path: string, content: string) {
  const file = join(rig.directory, 'base')
  writeFileSync(file, content)
  const name = path.slice(path.lastIndexOf('/') + 1)
  const copy = await rig.changes.stage(path, { file, listed: listedFile(name, content.length) })
  copy.retain()
  return copy
}

const conflicts = (rig: Rig): string[] => rig.files.paths().filter((path) => path.includes('.conflict-'))

void t.test('what somebody else uploads while a file is open is saved, within the TTL too', async (t) => {
  const rig = await startRig(t)
  rig.files.put('k', 'before')
  await rig.listings.list('')
  const copy = await open(rig, 'k', 'before')
  copy.write(undefined, Buffer.from(', ours'))
  rig.files.put('k', 'of the agent, meanwhile')
  copy.flush()
  copy.release()
  for (let tenth = 0; tenth < 5; tenth++) await rig.pass(100)
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('k'), 'before, ours')
  t.same(
    conflicts(rig).map((path) => rig.files.text(path)),
    ['of the agent, meanwhile'],
  )
})

void t.test('and what comes before a barrier on a file that stays open', async (t) => {
  const rig = await startRig(t)
  rig.files.put('k', 'before')
  await rig.listings.list('')
  const copy = await open(rig, 'k', 'before')
  copy.write(undefined, Buffer.from(', ours'))
  rig.files.put('k', 'of the agent, meanwhile')
  await copy.barrier(noSignal)
  copy.release()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('k'), 'before, ours')
  t.equal(conflicts(rig).length, 1)
})

void t.test('a name that somebody else takes before ours is closed is not overwritten either', async (t) => {
  const rig = await startRig(t)
  await rig.listings.list('')
  const copy = rig.changes.create('new', undefined)
  copy.retain()
  copy.write(0, Buffer.from('ours'))
  rig.files.put('new', 'theirs, which is longer')
  copy.flush()
  copy.release()
  for (let tenth = 0; tenth < 5; tenth++) await rig.pass(100)
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('new'), 'ours')
  t.equal(conflicts(rig).length, 1)
})

void t.test(
  'one listing, begun while they settle, serves all files that were closed before it',
  async (t) => {
    const rig = await startRig(t)
    await rig.listings.list('')
    rig.files.resetCalls()
    for (let number = 0; number < 30; number++) rig.write(`f${number}`, 'content')
    await rig.pass(50)
    t.same(rig.files.log(), ['list '])
    await rig.pass(50)
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.count('list'), 1)
    t.equal(rig.files.count('upload'), 30)
  },
)

void t.test(
  'what is written again over our own upload needs none, nor what is in a new directory',
  async (t) => {
    const rig = await startRig(t)
    rig.write('own', 'first')
    rig.changes.makeDirectory('d', undefined)
    rig.write('d/f', 'content')
    await rig.changes.barrier('', noSignal)
    rig.files.resetCalls()
    const copy = await open(rig, 'own', 'first')
    for (let turn = 0; turn < 5; turn++) {
      copy.write(undefined, Buffer.from('more'))
      await copy.barrier(noSignal)
    }
    rig.write('d/g', 'content')
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.count('upload'), 6)
    t.equal(rig.files.count('list'), 0)
    copy.release()
  },
)
