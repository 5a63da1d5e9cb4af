/**
 * Programs that go to and fro among the subdirectories of one directory, and directories in busy use.
 */
import t, { type Test } from 'tap'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { Prefetch } from '../../src/prefetch/prefetch.ts'
import { nameOf, parentOf } from '../../src/remote-path.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

const ttlMs = 2_000

class Rig {
  readonly clock = new FakeClock()
  readonly files = new MemoryFiles({ clock: this.clock })
  readonly listings = new MetadataCache({
    files: this.files,
    clock: this.clock,
    ttlMs,
    maxEntries: 100_000,
    logger: silentLogger,
  })
  readonly prefetch: Prefetch

  constructor(isLocal?: (path: string) => boolean) {
    const { clock, listings } = this
    const contents = { isCurrent: () => false, fetch: () => Promise.resolve() }
    this.prefetch = new Prefetch({ clock, ttlMs, listings, contents, ...(isLocal && { isLocal }) })
  }

  plant(directories: number): void {
    for (let index = 0; index < directories; index += 1) this.files.put(`${directory(index)}/file`, 'content')
  }

  /** As the filesystem looks a path up whose directories the kernel knows; `ms` later. */
  async stat(path: string, ms = 5): Promise<void> {
    this.clock.advance(ms)
    const above = parentOf(path)
    this.prefetch.didEnter(above, nameOf(path))
    await this.listings.lookup(above, nameOf(path))
  }

  async visit(index: number, ms?: number): Promise<void> {
    await this.stat(directory(index), ms)
    await this.stat(`${directory(index)}/file`, 0)
  }

  async pause(ms = 10): Promise<void> {
    this.clock.advance(ms)
    await new Promise(setImmediate)
  }

  /** Requests for listings of the directories that are gone to and fro among. */
  get below(): number {
    return this.files.count('list') - this.files.count('list', 'tree') - this.files.count('list', '')
  }

  /** How many somebody waited for. */
  get waited(): number {
    return this.files.calls.filter((call) => call.priority === 0).length
  }
}

const directory = (index: number): string => `tree/${String(index).padStart(3, '0')}`

/** 0 to 255 in an order without order. */
const shuffled = (step: number): number => (step * 97 + 31) % 256

void t.test('two directories among siblings are two listings', async (t) => {
  const rig = new Rig()
  rig.plant(50)
  await rig.visit(7)
  await rig.visit(40)
  await rig.pause()
  t.equal(rig.files.count('list'), 1 + 2)
})

void t.test('three directories far apart in time fetch nothing else', async (t) => {
  const rig = new Rig()
  rig.plant(50)
  for (const index of [7, 40, 19, 3]) await rig.visit(index, ttlMs)
  await rig.pause()
  t.equal(rig.files.count('list', 'tree'), 4)
  t.equal(rig.files.count('list'), 4 + 4)
})

void t.test('going to and fro among many directories waits for few of them', async (t) => {
  const rig = new Rig()
  rig.plant(256)
  for (let step = 0; step < 256; step += 1) {
    await rig.visit(shuffled(step))
    await rig.pause(0)
  }
  t.equal(rig.below, 256)
  t.ok(rig.waited <= 30, `${rig.waited} were waited for`)
})

void t.test('with ever new rounds they are fetched again while they are used', async (t) => {
  const rig = new Rig()
  rig.plant(256)
  for (let step = 0; step < 2_048; step += 1) {
    await rig.visit(shuffled(step))
    await rig.pause(0)
  }
  const rounds = (2_048 * 5) / ttlMs
  t.ok(rig.waited <= 60, `${rig.waited} were waited for`)
  t.ok(rig.below <= 256 * (rounds * 1.4 + 1), `${rig.below} listings`)
})

void t.test('a few directories among thousands cost a few more, and then no more', async (t) => {
  const rig = new Rig()
  rig.plant(900)
  for (let round = 0; round < 20; round += 1)
    for (const index of [7, 340, 119, 812]) {
      await rig.visit(index, 600)
      await rig.pause(0)
    }
  t.ok(rig.below <= 80 + 100, `${rig.below} listings for 80 visits`)
})

void t.test('nothing is fetched once the program has ended', async (t) => {
  const rig = new Rig()
  rig.plant(256)
  for (let step = 0; step < 6; step += 1) await rig.visit(shuffled(step))
  await rig.pause()
  rig.files.resetCalls()
  for (let turn = 0; turn < 20; turn += 1) await rig.pause(500)
  t.equal(rig.files.count(), 0)
  t.equal(rig.clock.waiting, 0, 'no timer is left')
})

void t.test('directories that are only here are neither visits nor fetched', async (t) => {
  const rig = new Rig((path) => path.startsWith('tree/'))
  rig.plant(256)
  await rig.stat('tree/000')
  for (let step = 0; step < 20; step += 1) rig.prefetch.didEnter(directory(shuffled(step)), 'name')
  await rig.pause()
  t.equal(rig.below, 0)
})

void t.test('a directory in busy use is waited for once more and then never', async (t) => {
  const rig = new Rig()
  rig.plant(1)
  for (let step = 0; step < 1_000; step += 1) {
    await rig.stat('tree/000/file', 20)
    await rig.pause(0)
  }
  t.ok(rig.waited <= 2, `${rig.waited} were waited for`)
  t.ok(rig.files.count('list') <= 20, `${rig.files.count('list')} listings in 20 s`)
})

void t.test(
  'the directories above one in busy use are, too, as long as the kernel asks for them',
  async (t) => {
    const rig = new Rig()
    rig.plant(1)
    const step = async (): Promise<void> => {
      await rig.stat('tree/000/file', 20)
      await rig.pause(0)
    }
    let askedAt = -Infinity
    for (let index = 0; index < 500; index += 1) {
      if (rig.clock.now() - askedAt > 1_000) {
        askedAt = rig.clock.now()
        await rig.stat('tree/000', 0)
      }
      await step()
    }
    t.ok(rig.waited <= 2 * 2, `${rig.waited} were waited for`)
    rig.files.resetCalls()
    for (let index = 0; index < 500; index += 1) await step()
    t.ok(rig.files.count('list', 'tree') <= 2, 'not when they are not entered any more')
  },
)

void t.test('a directory that is used now and then is listed when it is used', async (t) => {
  const rig = new Rig()
  rig.plant(1)
  for (let step = 0; step < 20; step += 1) await rig.stat('tree/000/file', 1_500)
  await rig.pause()
  t.equal(rig.files.count('list'), 10)
  checkIdle(t, rig)
})

function checkIdle(t: Test, rig: Rig): void {
  t.equal(rig.clock.waiting, 0, 'no timer is left')
}
