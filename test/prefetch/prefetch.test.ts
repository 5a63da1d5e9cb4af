/**
 * Walks are fetched ahead of; single steps fetch nothing but themselves.
 */
import t from 'tap'
import { Prefetch } from '../../src/prefetch/prefetch.ts'
import { numbered, WalkRig } from './walk-rig.ts'

void t.test('reading a tree of directories lists each once, many at a time', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(50, 2)
  await rig.walk('tree', () => Promise.resolve())
  t.equal(rig.files.count('list'), 51)
  t.equal(rig.files.count('download'), 0)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
  t.ok(
    rig.files.calls.slice(2).every((call) => call.priority === -1),
    'all but the first two were fetched ahead, after everything else',
  )
})

void t.test('reading all files of a tree downloads each once, many at a time', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(50, 20)
  const seen: string[] = []
  await rig.walk('tree', async (path) => seen.push(await rig.cat(path)))
  t.equal(seen.length, 1000)
  t.equal(rig.files.count('list'), 51)
  t.equal(rig.files.count('download'), 1000)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
  const waited = rig.files.calls.filter((call) => call.verb === 'download' && call.priority === 0)
  t.ok(waited.length <= 5, `${waited.length} were waited for`)
})

void t.test('a second walk over what is still good sends nothing', async (t) => {
  const rig = new WalkRig(t.testdir(), { ttlMs: 60_000 })
  rig.plant(10, 20)
  const visit = (path: string): Promise<string> => rig.cat(path)
  await rig.walk('tree', visit)
  rig.files.resetCalls()
  await rig.walk('tree', visit)
  t.equal(rig.files.count(), 0)
})

void t.test('a walk after the ttl asks for each thing once more', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(10, 20)
  const visit = (path: string): Promise<string> => rig.cat(path)
  await rig.walk('tree', visit)
  rig.clock.advance(10_000)
  rig.files.resetCalls()
  await rig.walk('tree', visit)
  t.equal(rig.files.count('list'), 11)
  t.equal(rig.files.count('download'), 200)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
})

void t.test(
  'a walk after the ttl over files that are proven by then lists each directory and fetches none',
  async (t) => {
    const rig = new WalkRig(t.testdir(), {}, { modified: 'real' })
    rig.plant(10, 20)
    rig.clock.advance(10_000)
    const visit = (path: string): Promise<string> => rig.cat(path)
    await rig.walk('tree', visit)
    for (let pass = 0; pass < 3; pass += 1) {
      rig.clock.advance(10_000)
      rig.files.resetCalls()
      /* the program comes to a directory whose listing is still on its way */
      const gate = rig.files.hold({ verb: 'list', path: 'tree/dir0007' })
      const walked = rig.walk('tree', visit)
      await gate.arrived(1)
      for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate)
      gate.release()
      await walked
      t.equal(rig.files.count('list'), 11)
      t.equal(rig.files.count('download'), 0, 'also not by listings from before they were proven')
    }
  },
)

void t.test('of proven files the walk fetches those that have changed, once each', async (t) => {
  const rig = new WalkRig(t.testdir(), {}, { modified: 'real' })
  rig.plant(4, 20)
  rig.clock.advance(10_000)
  const visit = (path: string): Promise<string> => rig.cat(path)
  await rig.walk('tree', visit)
  rig.clock.advance(10_000)
  for (const index of [3, 4, 17]) rig.files.put(`tree/dir0002/${numbered('file', index)}`, 'changed')
  rig.clock.advance(10_000)
  rig.files.resetCalls()
  const seen: string[] = []
  await rig.walk('tree', async (path) => seen.push(await rig.cat(path)))
  t.equal(seen.filter((text) => text === 'changed').length, 3)
  t.equal(rig.files.count('download'), 3)
})

void t.test('directories that were fetched too early do not keep the nearest files out', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(20, 40)
  await rig.readDirectory('tree')
  /* into two directories in order without reading them, so that more of them are fetched; then the files of one */
  await rig.stat('tree/dir0000/file0000')
  await rig.stat('tree/dir0001/file0000')
  await rig.pause()
  rig.files.resetCalls()
  for (let index = 0; index < 40; index += 1) await rig.cat(`tree/dir0001/${numbered('file', index)}`)
  t.equal(rig.files.count('download', 'tree/dir0001/file0039'), 1)
  const waited = rig.files.calls.filter((call) => call.verb === 'download' && call.priority === 0)
  t.ok(waited.length <= 3, `${waited.length} were waited for`)
})

void t.test(
  'reading the top again is another pass: files that the last one opened are not fetched for it',
  async (t) => {
    const rig = new WalkRig(t.testdir())
    rig.plant(10, 20)
    await rig.walk('tree', (path) => rig.cat(path))
    rig.clock.advance(1_900)
    rig.files.resetCalls()
    rig.clock.advance(200)
    await rig.walk('tree', () => Promise.resolve())
    t.equal(rig.files.count('list'), 11)
    t.equal(rig.files.count('download'), 0)
  },
)

void t.test(
  'one tree after the other: each is fetched ahead, and of the next little before it is come to',
  async (t) => {
    const rig = new WalkRig(t.testdir())
    for (const top of ['one', 'two', 'three', 'zero'])
      for (let directory = 0; directory < 10; directory += 1)
        for (let file = 0; file < 10; file += 1)
          rig.files.put(`all/${top}/${numbered('dir', directory)}/${numbered('file', file)}`, 'content')
    for (const top of ['one', 'three']) {
      await rig.stat(`all/${top}`)
      rig.files.resetCalls()
      await rig.walk(`all/${top}`, (path) => rig.cat(path))
      await rig.pause()
      const beside = rig.files.calls.filter(({ path }) => !path.startsWith(`all/${top}`))
      t.ok(beside.length <= 2, `${beside.length} of what lies beside`)
      t.equal(rig.files.count('download') + rig.files.count('list') - beside.length, 100 + 11)
      t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
    }
  },
)

void t.test('one directory among siblings is one listing', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(50, 2)
  await rig.readDirectory('tree')
  await rig.pause()
  rig.files.resetCalls()
  await rig.stat('tree/dir0000')
  await rig.readDirectory('tree/dir0000')
  await rig.pause()
  await rig.readDirectory('tree/dir0017')
  await rig.pause()
  t.equal(rig.files.count('list'), 2)
})

void t.test('one file among a thousand is one download', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 1000)
  await rig.readDirectory('tree/dir0000')
  await rig.pause()
  await rig.cat('tree/dir0000/file0000')
  await rig.pause()
  await rig.cat('tree/dir0000/file0500')
  await rig.pause()
  t.equal(rig.files.count('download'), 2)
})

void t.test(
  'a program that waits for a processor before the first file goes through all the same',
  async (t) => {
    const rig = new WalkRig(t.testdir())
    rig.plant(1, 100)
    await rig.readDirectory('tree/dir0000', 7)
    rig.clock.advance(900)
    await rig.cat('tree/dir0000/file0000', 7)
    t.ok(rig.files.count('download') >= 50, `${rig.files.count('download')} so far`)
  },
)

void t.test('one that opens the first file of what another has listed does not', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 100)
  await rig.readDirectory('tree/dir0000', 7)
  rig.clock.advance(100)
  await rig.cat('tree/dir0000/file0000', 8)
  await rig.pause()
  t.equal(rig.files.count('download'), 1)
})

void t.test('two neighbours fetch little ahead, a row of them more and more', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 200)
  for (const index of [10, 11]) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  await rig.pause()
  t.equal(rig.files.count('download'), 4)
  for (let index = 12; index < 30; index += 1) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  await rig.pause()
  t.ok(rig.files.count('download') >= 45, `${rig.files.count('download')} so far`)
  for (let index = 30; index < 200; index += 1) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  t.equal(rig.files.count('download'), 190)
})

void t.test('steps that are far apart in time are no walk', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 20)
  for (const index of [1, 2, 3, 4]) {
    await rig.cat(`tree/dir0000/${numbered('file', index)}`)
    rig.clock.advance(2_001)
  }
  t.equal(rig.files.count('download'), 4)
})

void t.test('a walk by name through a service that lists otherwise is followed, too', async (t) => {
  const rig = new WalkRig(t.testdir(), {}, { order: (names) => names.sort().reverse() })
  rig.plant(1, 100)
  const names = (await rig.readDirectory('tree/dir0000')).sort()
  for (const name of names) await rig.cat(`tree/dir0000/${name}`)
  t.equal(rig.files.count('download'), 100)
  const waited = rig.files.calls.filter((call) => call.verb === 'download' && call.priority === 0)
  t.ok(waited.length <= 3, `${waited.length} were waited for`)
})

void t.test('looking up one name in one directory after the other is a walk', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(40, 1)
  await rig.readDirectory('tree')
  for (let index = 0; index < 40; index += 1) await rig.stat(`tree/${numbered('dir', index)}/file0000`)
  t.equal(rig.files.count('list'), 41)
  t.ok(rig.files.maxRunning >= 8, `${rig.files.maxRunning} at a time`)
})

void t.test('what is fetched ahead ends when the walk does', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(50, 2)
  await rig.readDirectory('tree')
  const gate = rig.files.hold({ verb: 'list' })
  const first = rig.readDirectory('tree/dir0000')
  await gate.arrived(20)
  gate.releaseOne()
  await first
  rig.clock.advance(2_000)
  await rig.pause()
  t.equal(gate.waiting, 0)
  gate.release()
  await rig.pause()
  t.equal(rig.files.running, 0)
  t.equal(rig.clock.waiting, 0, 'no timer is left')
})

void t.test('a walk that leaves out most files is given up', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 500)
  await rig.readDirectory('tree/dir0000')
  await rig.cat('tree/dir0000/file0000')
  for (let index = 10; index < 500; index += 10) {
    rig.clock.advance(300)
    await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  }
  t.ok(rig.files.count('download') < 50 + 128, `${rig.files.count('download')} downloads for 50 files`)
})

void t.test('what grows too old before a second pass comes to it is fetched ahead of it again', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.plant(1, 400)
  const surprises: string[] = []
  const cat = async (path: string): Promise<void> => {
    rig.clock.advance(1)
    const { entry, ...seen } = await rig.listings.lookup('tree/dir0000', path.slice(-8))
    if (!rig.contents.isCurrent(path, entry!, seen)) surprises.push(path)
    await rig.cat(path)
  }
  await rig.walk('tree', (path) => rig.cat(path))
  t.equal(rig.files.count('download'), 400)
  /* none is too old yet, and this pass takes twice as long */
  rig.clock.advance(1_500)
  await rig.walk('tree', cat)
  t.ok(surprises.length <= 3, `${surprises.length} files of 400 were waited for`)
  t.ok(rig.files.count('download') <= 800, 'none was fetched more than once again')
})

void t.test('what is ahead stays within its bytes, and big files are left out', async (t) => {
  const rig = new WalkRig(t.testdir(), { limits: { bytes: 10_000, fileBytes: 4_000 } })
  for (let index = 0; index < 20; index += 1)
    rig.files.put(`d/${numbered('file', index)}`, new Uint8Array(3_000))
  rig.files.put('d/file0000a', new Uint8Array(5_000))
  await rig.readDirectory('d')
  await rig.cat('d/file0000')
  await rig.pause()
  t.equal(rig.files.count('download'), 5)
  t.equal(rig.files.count('download', 'd/file0000a'), 0)
})

void t.test('what the local side knows better is not fetched', async (t) => {
  const rig = new WalkRig(t.testdir(), { isLocal: (path) => path.endsWith('2') })
  rig.plant(1, 5)
  await rig.readDirectory('tree/dir0000')
  await rig.cat('tree/dir0000/file0000')
  await rig.pause()
  t.equal(rig.files.count('download'), 4)
})

void t.test('with ttl 0 nothing is fetched ahead', async (t) => {
  const rig = new WalkRig(t.testdir(), { ttlMs: 0 })
  rig.plant(3, 3)
  await rig.walk('tree', (path) => rig.cat(path))
  t.equal(rig.files.count('download'), 9)
  t.ok(rig.files.calls.every((call) => call.priority === 0))
})

void t.test('the way ahead is looked at once, not at every step', async (t) => {
  let looks = 0
  const rig = new WalkRig(t.testdir(), { ttlMs: 60_000 })
  rig.plant(1, 2_000)
  const names = await rig.readDirectory('tree/dir0000')
  const prefetch = new Prefetch({
    clock: rig.clock,
    ttlMs: 60_000,
    listings: rig.listings,
    contents: {
      isCurrent: () => {
        looks += 1
        return true
      },
      peek: () => undefined,
      fetch: () => Promise.reject(new Error('nothing is to be fetched')),
    },
  })
  for (const name of names) prefetch.didOpen(`tree/dir0000/${name}`)
  t.ok(looks <= 2_000, `${looks} looks at 2000 files`)
})
