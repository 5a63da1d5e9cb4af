import { fstatSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OpenFiles } from '../../src/cache/open-files.ts'

/** Files that hold their own names, at most two of them open. */
function setup(t: Test, names: readonly string[]) {
  const directory = t.testdir(Object.fromEntries(names.map((name) => [name, name])))
  const files = new OpenFiles(2)
  t.teardown(() => files.closeBelow(directory))
  const path = (name: string): string => join(directory, name)
  const read = (descriptor: number): string => {
    const bytes = Buffer.alloc(10)
    return bytes.subarray(0, readSync(descriptor, bytes, 0, 10, 0)).toString()
  }
  return { files, path, read, text: (name: string) => read(files.use(path(name), 'r')) }
}

const isOpen = (descriptor: number): boolean => {
  try {
    fstatSync(descriptor)
    return true
  } catch {
    return false
  }
}

void t.test('the file not used for longest makes way, and is opened again', (t) => {
  const { files, path, text } = setup(t, ['a', 'b', 'c'])
  const a = files.use(path('a'), 'r')
  const b = files.use(path('b'), 'r')
  t.equal(files.use(path('a'), 'r'), a, 'it is open')
  t.equal(text('c'), 'c')
  t.equal(files.size, 2)
  t.equal(files.use(path('a'), 'r'), a, 'used after b')
  t.equal(text('b'), 'b')
  t.ok(b >= 0)
  t.equal(files.size, 2)
  t.end()
})

void t.test('a file that was lent stays open until what it was lent for has ended', async (t) => {
  const { files, path, text } = setup(t, ['a', 'b', 'c'])
  const gate = Promise.withResolvers<undefined>()
  let lent = -1
  const writing = files.lend(path('a'), 'r+', async (descriptor) => {
    lent = descriptor
    await gate.promise
    writeSync(descriptor, 'new', 0)
  })
  for (const name of ['b', 'c', 'b']) t.equal(text(name), name)
  files.close(path('a'))
  t.ok(isOpen(lent), 'closed afterwards')
  gate.resolve(undefined)
  await writing
  t.equal(files.size, 1)
  t.equal(text('a'), 'new')
})

void t.test('closed while it is lent and used again, it stays open', async (t) => {
  const { files, path } = setup(t, ['a'])
  const gate = Promise.withResolvers<undefined>()
  const reading = files.lend(path('a'), 'r', () => gate.promise)
  files.close(path('a'))
  const descriptor = files.use(path('a'), 'r')
  gate.resolve(undefined)
  await reading
  t.equal(files.size, 1)
  t.ok(isOpen(descriptor))
})

void t.test('a file whose name was taken away does not make way: it could not be opened again', (t) => {
  const { files, path, text } = setup(t, ['a', 'b', 'c'])
  t.equal(text('a'), 'a')
  rmSync(path('a'))
  for (const name of ['b', 'c', 'b', 'a']) t.equal(text(name), name)
  files.close(path('a'))
  t.throws(() => files.use(path('a'), 'r'), { code: 'ENOENT' })
  t.end()
})

void t.test('flags are those of open(2): what is made must not be there', (t) => {
  const { files, path } = setup(t, [])
  files.use(path('a'), 'wx+')
  files.close(path('a'))
  t.throws(() => files.use(path('a'), 'wx+'), { code: 'EEXIST' })
  writeFileSync(path('a'), 'more')
  t.ok(isOpen(files.use(path('a'), 'r')))
  t.end()
})
