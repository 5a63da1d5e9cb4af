import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger } from '../../../src/log.ts'
import { listedFile, noSignal, startRig, type Rig } from '../rig.ts'

/** Renames `old` to `new` up to the moment in which the listing that guards the delete of `old` is under way. */
async function renameUntilLook(t: Test, isShown: boolean) {
  const rig = await startRig(t, {}, { pageSize: 1 })
  rig.files.put('old', 'content')
  await rig.listings.list('')
  rig.changes.renameFile('old', 'new', listedFile('old', 7), undefined)
  const uploading = rig.files.hold({ verb: 'upload', path: 'new' })
  await rig.pass(1000)
  await uploading.arrived()
  const looking = rig.files.hold({ verb: 'list', path: '' })
  uploading.release()
  await looking.arrived()
  if (isShown) {
    looking.releaseOne()
    await looking.arrived(2)
  }
  return { rig, looking }
}

/** Lets what was done to `new` reach the service, where its calls allow it, while the look is under way. */
async function pass(rig: Rig): Promise<void> {
  await rig.pass(200)
}

const meanwhile: Readonly<
  Record<string, { readonly act: (rig: Rig) => void | Promise<void>; readonly left: Record<string, string> }>
> = {
  removed: {
    act: (rig) => rig.changes.removeFile('new', undefined),
    left: {},
  },
  'appended to': {
    act: async (rig) => {
      const file = join(rig.directory, 'base')
      writeFileSync(file, 'content')
      const copy = await rig.changes.stage('new', { file, listed: listedFile('new', 7) })
      copy.retain()
      copy.write(undefined, Buffer.from(' and more'))
      copy.flush()
      copy.release()
    },
    left: { new: 'content and more' },
  },
  'written anew': { act: (rig) => rig.write('new', 'other'), left: { new: 'other' } },
  renamed: {
    act: (rig) => rig.changes.renameFile('new', 'newer', undefined, undefined),
    left: { newer: 'content' },
  },
  'renamed into a directory': {
    act: (rig) => {
      rig.changes.makeDirectory('d', undefined)
      rig.changes.renameFile('new', 'd/newer', undefined, undefined)
    },
    left: { 'd/newer': 'content' },
  },
  'renamed back': {
    act: (rig) => rig.changes.renameFile('new', 'old', undefined, undefined),
    left: { old: 'content' },
  },
  'replaced by another file': {
    act: (rig) => {
      rig.write('other', 'of another')
      rig.changes.renameFile('other', 'new', undefined, undefined)
    },
    left: { new: 'of another' },
  },
  'replaced by a directory': {
    act: (rig) => {
      rig.changes.removeFile('new', undefined)
      rig.changes.makeDirectory('new', undefined)
      rig.write('new/f', 'below')
    },
    left: { 'new/f': 'below' },
  },
  'removed, and the old name written again': {
    act: (rig) => {
      rig.changes.removeFile('new', undefined)
      rig.write('old', 'again')
    },
    left: { old: 'again' },
  },
  'left alone, and the old name is held': {
    act: async (rig) => {
      const release = rig.changes.hold('old')
      await pass(rig)
      release()
    },
    left: { new: 'content' },
  },
}

for (const [what, { act, left }] of Object.entries(meanwhile)) {
  for (const isShown of [false, true]) {
    const when = isShown ? 'after the listing has shown it' : 'while a listing is awaited'
    void t.test(`the old name goes although the new one is ${what} ${when}`, async (t) => {
      const { rig, looking } = await renameUntilLook(t, isShown)
      await act(rig)
      await pass(rig)
      await pass(rig)
      looking.release()
      for (let second = 0; second < 5; second++) await rig.pass(1000)
      await rig.changes.barrier('', noSignal)
      const files = rig.files.paths().filter((path) => !path.endsWith('/'))
      t.same(Object.fromEntries(files.map((path) => [path, rig.files.text(path)])), left)
    })
  }
}

void t.test('the old name stays when somebody else has taken what it became, and that is said', async (t) => {
  const warned: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warned.push(message) }
  const rig = await startRig(t, { logger })
  rig.files.put('old', 'content')
  rig.changes.renameFile('old', 'new', listedFile('old', 7), undefined)
  const looking = rig.files.hold({ verb: 'list', path: '' })
  await rig.pass(1000)
  await looking.arrived()
  looking.releaseOne()
  await looking.arrived(2)
  rig.files.put('new', 'of somebody else')
  looking.release()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('old'), 'content')
  t.match(warned, ['renamed, but the old name stays: new is not on the service as it was copied'])
})
