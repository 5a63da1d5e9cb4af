import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OpenFiles } from '../../../src/cache/open-files.ts'
import { slotBytes } from '../../../src/write-back/disk/small-files.ts'
import { namesIn, Spool } from '../../../src/write-back/disk/spool.ts'
import { spooledIn, spooledText } from '../spooled-files.ts'

function setup(t: Test) {
  const directory = t.testdir()
  const open = (): Spool => new Spool(join(directory, 'spool'), 0, new OpenFiles(10))
  return { directory, open, spool: open() }
}

const text = (spool: Spool, generation: number): string =>
  Buffer.from(spool.read(generation, 0, spool.size(generation))).toString()

void t.test('small generations are in one file, and are found there by the next run', (t) => {
  const { directory, open, spool } = setup(t)
  const [one, two] = [spool.createEmpty(), spool.createEmpty()]
  spool.write(one, 0, Buffer.from('first'))
  spool.write(one, 5, Buffer.from(' and more'))
  spool.name(two, 'd/two')
  spool.close()
  const next = open()
  t.same(next.generations(), [one, two])
  t.equal(text(next, one), 'first and more')
  t.equal(next.nameOf(two), 'd/two')
  t.same([...namesIn(directory)], [[two, 'd/two']])
  t.ok(next.isSmall(one))
  t.notOk(statSync(next.file(one), { throwIfNoEntry: false }))
  t.ok(next.createEmpty() > two)
  next.close()
  t.end()
})

void t.test('one that grows gets a file of its own, with its bytes and its name', (t) => {
  const { directory, open, spool } = setup(t)
  const generation = spool.createEmpty()
  spool.write(generation, 0, Buffer.from('begin'))
  spool.name(generation, 'big')
  spool.write(generation, slotBytes, Buffer.from('end'))
  t.notOk(spool.isSmall(generation))
  t.equal(text(spool, generation), `begin${'\0'.repeat(slotBytes - 5)}end`)
  t.same([...namesIn(directory)], [[generation, 'big']])
  t.same(spooledIn(directory), [String(generation)])
  spool.truncate(generation, 5)
  t.equal(text(spool, generation), 'begin')
  spool.close()
  const next = open()
  t.equal(text(next, generation), 'begin')
  t.equal(next.nameOf(generation), 'big')
  next.unlink(generation)
  t.same(next.generations(), [])
  t.same([...namesIn(directory)], [])
  next.close()
  t.end()
})

void t.test('one that was on its way to a file of its own is whole where it was', (t) => {
  const { open, spool } = setup(t)
  const generation = spool.createEmpty()
  spool.write(generation, 0, Buffer.from('whole'))
  writeFileSync(spool.file(generation), 'wh')
  spool.close()
  const next = open()
  t.same(next.generations(), [generation])
  t.equal(text(next, generation), 'whole')
  next.write(generation, slotBytes, Buffer.from('!'))
  t.equal(text(next, generation), `whole${'\0'.repeat(slotBytes - 5)}!`)
  next.close()
  t.end()
})

void t.test('what was there before shows nowhere', (t) => {
  const { spool } = setup(t)
  const before = spool.createEmpty()
  spool.write(before, 0, Buffer.alloc(slotBytes, 'x'))
  spool.name(before, 'a name that is longer than the next')
  spool.unlink(before)
  const generation = spool.createEmpty()
  t.equal(spool.nameOf(generation), undefined)
  t.equal(text(spool, generation), '')
  spool.truncate(generation, 3)
  spool.write(generation, 6, Buffer.from('end'))
  t.equal(text(spool, generation), '\0\0\0\0\0\0end')
  spool.write(generation, 0, Buffer.from('123456'))
  spool.zero(generation, 1, 2)
  spool.truncate(generation, 4)
  spool.truncate(generation, 8)
  t.equal(text(spool, generation), '1\0\x004\0\0\0\0')
  const copy = spool.clone(generation)
  spool.write(generation, 0, Buffer.from('2'))
  t.equal(text(spool, copy), '1\0\x004\0\0\0\0')
  spool.close()
  t.end()
})

void t.test('a name that is too long for a slot is written down all the same', (t) => {
  const { directory, spool } = setup(t)
  const generation = spool.createEmpty()
  spool.write(generation, 0, Buffer.from('bytes'))
  const path = Array.from({ length: 8 }, () => 'long'.repeat(25)).join('/')
  spool.name(generation, path)
  t.equal(spool.nameOf(generation), path)
  t.same([...namesIn(directory)], [[generation, path]])
  t.equal(spooledText(directory, generation), 'bytes')
  spool.close()
  t.end()
})

void t.test('a slot whose head is damaged is free, and its neighbours are whole', (t) => {
  const { directory, open, spool } = setup(t)
  const all = ['one', 'two', 'three'].map((content) => {
    const generation = spool.createEmpty()
    spool.write(generation, 0, Buffer.from(content))
    return generation
  })
  spool.close()
  const file = join(directory, 'spool.small')
  const bytes = readFileSync(file)
  bytes[bytes.indexOf('two') - 500] = 7
  writeFileSync(file, bytes)
  const next = open()
  t.same(next.generations(), [all[0], all[2]])
  t.equal(text(next, all[2] ?? 0), 'three')
  const again = next.createEmpty()
  t.same(spooledText(directory, again), '')
  t.ok(again > (all[2] ?? 0))
  next.close()
  t.end()
})

void t.test('a long file in which nothing is left goes back to the disk', (t) => {
  const { directory, spool } = setup(t)
  const all = Array.from({ length: 300 }, () => spool.createEmpty())
  for (const generation of all) spool.write(generation, 0, Buffer.from('content'))
  for (const generation of all) spool.unlink(generation)
  t.equal(statSync(join(directory, 'spool.small')).size, 0)
  const generation = spool.createEmpty()
  spool.write(generation, 0, Buffer.from('again'))
  t.equal(text(spool, generation), 'again')
  spool.close()
  t.end()
})

void t.test('nothing is written to a file that somebody has taken away', (t) => {
  const { directory, spool } = setup(t)
  const generation = spool.createEmpty()
  rmSync(join(directory, 'spool.small'))
  t.throws(() => spool.write(generation, 0, Buffer.from('lost')), { message: /taken away/ })
  t.throws(() => spool.createEmpty(), { message: /taken away/ })
  spool.close()
  t.end()
})
