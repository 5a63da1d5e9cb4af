import t, { type Test } from 'tap'
import { silentLogger } from '../../src/log.ts'
import { listedFile, noSignal, startRig, type Rig } from './rig.ts'
import { spooledText } from './spooled-files.ts'

interface Step {
  /** What is there before, and what is done to it. */
  readonly prepare: (rig: Rig) => void
  readonly change: (rig: Rig) => void
  /** What this side shows of `f` while ours stands. */
  readonly ours: object
  /** Puts what was there before the change back, as a service that has not done what it said. */
  readonly undo: (rig: Rig) => void
  /** What somebody else makes of it. */
  readonly theirs: (rig: Rig) => void
  /** What a service that has not done it is taken for: what is logged, and the bytes that are set aside. */
  readonly log: RegExp
  readonly kept?: string
}

const steps: Readonly<Record<string, Step>> = {
  'a new file': {
    prepare: () => undefined,
    change: (rig) => rig.write('f', 'ours, new'),
    ours: { kind: 'file', size: 9 },
    undo: (rig) => rig.files.take('f'),
    theirs: (rig) => rig.files.put('f', 'theirs'),
    log: /confirmed it and does not show it/,
    kept: 'ours, new',
  },
  'a file that was overwritten': {
    prepare: (rig) => rig.files.put('f', 'before'),
    change: (rig) => overwrite(rig, 'ours, longer'),
    ours: { kind: 'file', size: 12 },
    undo: (rig) => rig.files.put('f', 'before'),
    theirs: (rig) => rig.files.put('f', 'theirs!!'),
    log: /confirmed it and does not show it/,
    kept: 'ours, longer',
  },
  'a removed file': {
    prepare: (rig) => rig.files.put('f', 'before'),
    change: (rig) => rig.changes.removeFile('f', listedFile('f', 6)),
    ours: { kind: 'absent' },
    undo: (rig) => rig.files.put('f', 'before'),
    theirs: (rig) => rig.files.put('f', 'theirs!!'),
    log: /confirmed its removal and still shows it/,
  },
  'a new directory': {
    prepare: () => undefined,
    change: (rig) => rig.changes.makeDirectory('f', undefined),
    ours: { kind: 'directory' },
    undo: (rig) => rig.files.take('f'),
    theirs: (rig) => {
      rig.files.take('f')
      rig.files.put('f', 'theirs')
    },
    log: /confirmed it and does not show it/,
  },
  'a removed directory': {
    prepare: (rig) => rig.files.putDirectory('f'),
    change: (rig) => rig.changes.removeDirectory('f', true),
    ours: { kind: 'absent' },
    undo: (rig) => rig.files.putDirectory('f'),
    theirs: (rig) => rig.files.put('f', 'theirs'),
    log: /confirmed its removal and still shows it/,
  },
}

function overwrite(rig: Rig, text: string): void {
  const copy = rig.changes.create('f', listedFile('f', 6))
  copy.retain()
  copy.write(0, Buffer.from(text))
  copy.flush()
  copy.release()
}

async function start(t: Test) {
  const warned: string[] = []
  const note = (_: object, message: string): void => {
    warned.push(message)
  }
  const rig = await startRig(t, { logger: { ...silentLogger, warn: note, error: note } })
  const look = async (): Promise<void> => {
    await rig.listings.list('', { maxAgeMs: 0 })
  }
  return { rig, warned, look }
}

for (const [what, { prepare, change, ours, undo, theirs, log, kept }] of Object.entries(steps)) {
  void t.test(`${what} stays ours while listings are behind, and leaves no trace`, async (t) => {
    const { rig, warned, look } = await start(t)
    prepare(rig)
    await look()
    rig.files.fallBehind()
    change(rig)
    await rig.changes.barrier('', noSignal)
    for (let second = 0; second < 5; second++) {
      await rig.pass(1000)
      await look()
      t.match(rig.changes.get('f'), ours, `after ${second + 1} s`)
    }
    rig.files.catchUp()
    await look()
    t.equal(rig.changes.get('f'), undefined, 'the listing has taken over')
    await rig.pass(30_000)
    t.same(warned, [])
    t.same(rig.changes.status(), { paths: [], pendingBytes: 0, paused: undefined, setAside: [] })
  })

  void t.test(`${what} that the service has not done after all is said, and set aside`, async (t) => {
    const { rig, warned, look } = await start(t)
    prepare(rig)
    await look()
    change(rig)
    await rig.changes.barrier('', noSignal)
    undo(rig)
    await rig.pass(1000)
    await look()
    t.match(rig.changes.get('f'), ours, 'one listing is not believed')
    // it looks by itself
    for (let second = 0; second < 8; second++) await rig.pass(1000)
    t.match(rig.changes.get('f'), ours, 'nor two')
    for (let second = 0; second < 3; second++) await rig.pass(1000)
    t.equal(rig.changes.get('f'), undefined, 'the service decides')
    t.match(warned, [log])
    const { setAside } = rig.changes.status()
    t.match(setAside, kept === undefined ? [] : [{ path: 'f' }])
    await rig.reopen()
    // what no row speaks of is removed by now
    await rig.pass(5000)
    for (const { generation } of rig.changes.status().setAside)
      t.equal(spooledText(rig.directory, generation), kept)
    t.equal(rig.changes.get('f'), undefined)
  })

  void t.test(`${what} that somebody else changes at once shows theirs at once`, async (t) => {
    const { rig, warned, look } = await start(t)
    prepare(rig)
    await look()
    change(rig)
    await rig.changes.barrier('', noSignal)
    theirs(rig)
    await look()
    t.equal(rig.changes.get('f'), undefined)
    t.same(warned, [])
  })
}

void t.test('a listing that is two versions behind is behind as well', async (t) => {
  const { rig, look } = await start(t)
  rig.files.put('f', 'before')
  await look()
  overwrite(rig, 'one')
  await rig.changes.barrier('', noSignal)
  rig.files.fallBehind()
  rig.write('f', 'second')
  await rig.changes.barrier('', noSignal)
  rig.write('f', 'the third')
  await rig.changes.barrier('', noSignal)
  await look()
  t.match(rig.changes.get('f'), { kind: 'file', size: 9 })
  t.same(rig.files.paths(), ['f'], 'what it shows is not taken for somebody else’s')
  rig.files.catchUp()
  await look()
  t.equal(rig.changes.get('f'), undefined)
})

void t.test('a renamed file does not show under both names while listings are behind', async (t) => {
  const { rig, warned, look } = await start(t)
  rig.files.put('f', 'content')
  await look()
  rig.files.fallBehind()
  rig.changes.renameFile('f', 'g', listedFile('f', 7), undefined)
  for (let second = 0; second < 5; second++) await rig.pass(1000)
  await look()
  t.match(rig.changes.get('f'), { kind: 'absent' })
  t.match(rig.changes.get('g'), { kind: 'file', size: 7 })
  rig.files.catchUp()
  for (let second = 0; second < 20; second++) await rig.pass(1000)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['g'])
  t.same(warned, [])
})

void t.test('what is below a directory that listings do not show yet stays as well', async (t) => {
  const { rig, warned, look } = await start(t)
  await look()
  rig.files.fallBehind()
  rig.changes.makeDirectory('d', undefined)
  rig.write('d/f', 'content')
  await rig.changes.barrier('', noSignal)
  for (let second = 0; second < 5; second++) {
    await rig.pass(1000)
    await look()
    t.match(rig.changes.get('d'), { kind: 'directory' })
    t.match(rig.changes.get('d/f'), { kind: 'file', size: 7 })
  }
  rig.files.catchUp()
  await look()
  await rig.listings.list('d', { maxAgeMs: 0 })
  t.equal(rig.changes.get('d'), undefined)
  t.equal(rig.changes.get('d/f'), undefined)
  t.same(warned, [])
})
