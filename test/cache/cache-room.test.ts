import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { CacheRoom } from '../../src/cache/cache-room.ts'
import type { ContentCacheOptions } from '../../src/cache/content-cache.ts'
import { OpenFiles } from '../../src/cache/open-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { digits, Rig, text } from './content-rig.ts'

const block = 4096
/* too big for memory */
const bigBytes = 25 * block
const big = digits(bigBytes)

/* as in one process */
const clock = new FakeClock()

/** Two caches in one room, each with the files of a session of its own. */
function twoIn(
  room: CacheRoom,
  directory: string,
  options: Partial<ContentCacheOptions> = {},
): [one: Rig, other: Rig] {
  const rig = (name: string): Rig =>
    new Rig(join(directory, name), { room, ...options }, { chunkBytes: 65_536 }, clock)
  return [rig('one'), rig('other')]
}

void t.test('of all caches of a room that makes way which was not used for longest', async (t) => {
  const room = new CacheRoom(3 * block)
  const [one, other] = twoIn(room, t.testdir())
  for (const name of ['a', 'b']) {
    one.files.put(name, `one ${name}`)
    other.files.put(name, `other ${name}`)
  }
  await one.cat('a')
  await other.cat('a')
  await one.cat('b')
  t.equal(room.bytes, 3 * block)
  await one.cat('a')
  await other.cat('b')
  t.equal(room.bytes, 3 * block, 'the other a went')
  t.same([one.contents.bytes, other.contents.bytes], [2 * block, block])
  t.equal(await one.cat('a'), 'one a')
  t.equal(await one.cat('b'), 'one b')
  t.equal(one.files.count('download'), 2, 'they are still there')
  t.equal(await other.cat('a'), 'other a')
  t.equal(other.files.count('download', 'a'), 2)
})

void t.test('what one cache has open makes the other make way, and is never taken itself', async (t) => {
  const room = new CacheRoom(2 * bigBytes)
  const [one, other] = twoIn(room, t.testdir())
  for (const name of ['a', 'b', 'c']) one.files.put(name, big)
  other.files.put('x', big)
  await other.cat('x')
  const held = [await one.open('a'), await one.open('b'), await one.open('c')]
  for (const { content } of held) t.equal(await text(content), big)
  t.ok(await other.keeps(0), 'its file is gone')
  t.equal(other.contents.bytes, 0)
  t.equal(room.bytes, 3 * bigBytes, 'exceeded by what is open')
  await other.cat('x')
  t.equal(other.contents.bytes, 0, 'there is no room for it')
  for (const { content } of held) content.release()
  t.equal(room.bytes, 2 * bigBytes)
  t.equal(one.contents.bytes, 2 * bigBytes)
  t.equal(await one.cat('c'), big)
  t.equal(one.files.count('download'), 3)
})

void t.test('a room that is closed by one cache is there for the others', async (t) => {
  const room = new CacheRoom(2 * bigBytes)
  const openFiles = new OpenFiles(100)
  const [one, other] = twoIn(room, t.testdir(), { openFiles })
  for (const rig of [one, other]) for (const name of ['a', 'b']) rig.files.put(name, big)
  await one.cat('a')
  await other.cat('a')
  await one.contents.close()
  t.strictSame(one.stored, [], 'its files are gone')
  t.equal(room.bytes, bigBytes)
  t.equal(openFiles.size, 0)
  await other.cat('b')
  t.equal(room.bytes, 2 * bigBytes)
  t.equal(await other.cat('a'), big)
  t.equal(other.files.count('download'), 2, 'both found room')
  t.equal(await one.cat('a'), big, 'whoever comes late is served')
  t.equal(room.bytes, 2 * bigBytes, 'and nothing is kept of it')
  t.ok(await one.keeps(0))
})

void t.test('what is open when its cache is closed is read on, and gone with its release', async (t) => {
  const room = new CacheRoom(10 * bigBytes)
  const openFiles = new OpenFiles(100)
  const directory = t.testdir()
  const [one] = twoIn(room, directory, { openFiles })
  one.files.put('a', big)
  one.files.put('b', big)
  const whole = await one.open('a')
  await text(whole.content)
  const gate = one.files.hold({ verb: 'download', path: 'b' })
  const arriving = await one.open('b')
  const read = text(arriving.content)
  await gate.arrived()
  await Promise.all([one.contents.close(), t.rejects(read, { code: 'aborted' })])
  t.equal(room.bytes, 0)
  t.equal(await text(whole.content), big)

  const [again] = twoIn(room, directory, { openFiles })
  again.files.put('a', digits(bigBytes).replaceAll('0', 'x'))
  t.match(await again.cat('a'), /^x1234/)
  whole.content.release()
  arriving.content.release()
  t.ok(await again.keeps(1), 'the files of the one before it are not its own')
  t.match(await again.cat('a'), /^x1234/)
  t.equal(again.files.count('download'), 1)
})

void t.test(
  'a cache is opened again in its directory while the one before it is still closing',
  async (t) => {
    const room = new CacheRoom(100 * bigBytes)
    const directory = t.testdir()
    const openFiles = new OpenFiles(100)
    const names = Array.from({ length: 20 }, (_, index) => `f${index}`)
    const [one] = twoIn(room, directory, { openFiles })
    for (const name of names) one.files.put(name, big)
    for (const name of names) await one.cat(name)
    const closing = one.contents.close()
    const [again] = twoIn(room, directory, { openFiles })
    for (const name of names) again.files.put(name, big)
    for (const name of names) await again.cat(name)
    await closing
    t.equal(again.stored.length, names.length)
    for (const name of names) t.equal(await again.cat(name), big)
    t.equal(again.files.count('download'), names.length)
  },
)

void t.test(
  'small contents of all caches share the memory: what is beyond it lies on the disk',
  async (t) => {
    const room = new CacheRoom(1024 ** 3, 3 * 1000)
    const [one, other] = twoIn(room, t.testdir())
    for (const name of ['a', 'b', 'c', 'd']) for (const rig of [one, other]) rig.files.put(name, digits(1000))
    for (const rig of [one, other]) await rig.cat('a')
    await one.cat('b')
    t.same([one.stored.length, other.stored.length], [0, 0])
    await other.cat('b')
    t.ok(await one.keeps(1), 'the one used first has a file')
    t.equal(other.stored.length, 0)
    await other.contents.close()
    await one.cat('b')
    one.files.put('c', digits(1000))
    one.files.put('d', digits(1000))
    for (const name of ['c', 'd']) await one.cat(name)
    t.equal(one.stored.length, 1, 'memory was given back')
    t.equal(await one.cat('a'), digits(1000))
    t.equal(one.files.count('download'), 4)
  },
)

void t.test('where the disk is full the contents of the other caches make way', async (t) => {
  const room = new CacheRoom(1024 ** 3)
  const [one, other] = twoIn(room, t.testdir(), { reserveBytes: Number.MAX_SAFE_INTEGER })
  for (const name of ['a', 'b']) one.files.put(name, 'small')
  for (const name of ['a', 'b']) await one.cat(name)
  t.equal(room.bytes, 2 * block)
  other.files.put('x', big)
  await t.rejects(other.cat('x'), { name: 'CacheDiskError', reason: 'diskFull' })
  t.equal(one.contents.bytes, 0)
})

void t.test('no more of the other caches makes way than a full disk needs', async (t) => {
  const directory = t.testdir()
  const [one, other] = twoIn(new CacheRoom(1024 ** 3), directory)
  const onDisk = (): number => one.stored.length + other.stored.length
  const { statfs } = promises
  t.teardown(() => {
    promises.statfs = statfs
    syncBuiltinESMExports()
  })
  let looks = 0
  promises.statfs = (() => {
    looks += 1
    return Promise.resolve({ bavail: 4 * bigBytes + block - onDisk() * bigBytes, bsize: 1 })
  }) as never
  syncBuiltinESMExports()
  for (const name of ['a', 'b', 'c']) one.files.put(name, big)
  for (const name of ['x', 'y']) other.files.put(name, big)
  for (const name of ['a', 'b', 'c']) await one.cat(name)
  await other.cat('x')
  t.equal(looks, 1, 'they look at the disk together')
  clock.advance(10_000)
  t.equal(await other.cat('y'), big)
  t.equal(one.contents.bytes, 2 * bigBytes)
  t.equal(other.contents.bytes, 2 * bigBytes)
})
