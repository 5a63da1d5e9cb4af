import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { getTree } from '../../src/transfer/get-tree.ts'
import { foldName, whyNotLocal } from '../../src/transfer/local-file.ts'
import { MemoryFiles } from '../contract/memory-files.ts'

function place(t: Test): {
  readonly files: MemoryFiles
  readonly local: string
  readonly names: () => string[]
} {
  const local = join(t.testdir({}), 'copy')
  const names = (): string[] => fs.readdirSync(local, { recursive: true, encoding: 'utf8' }).toSorted()
  return { files: new MemoryFiles(), local, names }
}

void t.test('a directory is listed once, a file downloaded once, side by side', async (t) => {
  const { files, local } = place(t)
  for (let i = 0; i < 250; i++) files.put(`tree/d${i % 5}/f${i}`, `${i}`)
  const gate = files.hold({ verb: 'download' })
  const copied = getTree(files, 'tree', local, { concurrency: 40 })
  await gate.arrived(40)
  t.equal(files.count('list'), 6)
  gate.release()
  t.match(await copied, { files: 250, directories: 6, failures: [] })
  t.equal(files.count('download'), 250)
  t.equal(files.maxRunning, 40)
  t.equal(fs.readFileSync(join(local, 'd3/f8'), 'utf8'), '8')
})

void t.test('a body that is cut is asked for again; what fails is told, and the rest is there', async (t) => {
  const { files, local, names } = place(t)
  files.put('a', 'whole')
  files.put('b/cut', 'x'.repeat(100_000))
  files.put('b/gone', 'y')
  files.fail({ verb: 'download', path: 'b/cut', error: 'truncated', afterBytes: 65_536 })
  files.fail({ verb: 'download', path: 'b/gone', error: 'bad_request' })
  const progress: number[] = []
  const result = await getTree(files, '', local, { onProgress: ({ bytes }) => progress.push(bytes) })
  t.match(result, {
    files: 2,
    bytes: 100_005,
    failures: [{ path: 'b/gone', error: { code: 'bad_request' } }],
  })
  t.strictSame(names(), ['a', 'b', 'b/cut'], 'no half file')
  t.equal(progress.at(-1), 100_005, 'what came twice counts once')
  t.equal(files.count('download', 'b/cut'), 2)
})

void t.test(
  'a file that grows between listing and download is taken as long as a newer listing says',
  async (t) => {
    const { files, local } = place(t)
    files.put('log', 'one')
    const gate = files.hold({ verb: 'download' })
    const copied = getTree(files, '', local)
    await gate.arrived()
    files.put('log', 'one, two')
    gate.release()
    t.match(await copied, { files: 1, bytes: 8, failures: [] })
    t.equal(fs.readFileSync(join(local, 'log'), 'utf8'), 'one, two')
    t.strictSame([files.count('list'), files.count('download')], [2, 1])
  },
)

void t.test(
  'a file whose listings never agree with what comes is an error, and the old one stays',
  async (t) => {
    const { files, local } = place(t)
    fs.mkdirSync(local)
    fs.writeFileSync(join(local, 'log'), 'before')
    files.put('log', 'one')
    files.fallBehind()
    files.put('log', 'longer than listed')
    t.match(await getTree(files, '', local), {
      files: 0,
      failures: [{ path: 'log', error: { name: 'TransferError', code: 'changing' } }],
    })
    t.equal(fs.readFileSync(join(local, 'log'), 'utf8'), 'before')
  },
)

void t.test('an end in the middle leaves no half file', async (t) => {
  const { files, local, names } = place(t)
  files.put('done', 'done')
  files.put('half', 'x'.repeat(200_000))
  const gate = files.hold({ verb: 'download', path: 'half', afterBytes: 65_536 })
  const ending = new AbortController()
  const copied = getTree(files, '', local, { signal: ending.signal })
  await gate.arrived()
  ending.abort(new Error('enough'))
  await t.rejects(copied, { message: 'enough' })
  t.strictSame(names(), ['done'])
})

void t.test('a state of the session ends it at once', async (t) => {
  const { files, local } = place(t)
  for (let i = 0; i < 100; i++) files.put(`f${i}`, 'x')
  files.fail({ verb: 'download', error: 'unauthorized', times: 100 })
  await t.rejects(getTree(files, '', local, { concurrency: 4 }), { code: 'unauthorized' })
  t.ok(files.count('download') <= 8, `${files.count('download')} were tried`)
})

void t.test('what is excluded is not even listed; a dry run touches nothing', async (t) => {
  const { files, local } = place(t)
  for (const path of ['node_modules/a/b', 'src/main.py', 'src/__pycache__/x.pyc', 'build.log'])
    files.put(path, 'x')
  const seen: string[] = []
  const exclude = ['node_modules/', '*.log', '__pycache__']
  const onFile = ({ remotePath }: { readonly remotePath: string }): unknown => seen.push(remotePath)
  t.match(await getTree(files, '', local, { exclude, dryRun: true, onFile }), { files: 1, bytes: 1 })
  t.strictSame(seen, ['src/main.py'])
  t.strictSame(files.log(), ['list ', 'list src'])
  t.notOk(fs.existsSync(local))
})

void t.test('a link that is there is replaced by the file, not written through', async (t) => {
  const { files, local } = place(t)
  fs.mkdirSync(local)
  fs.writeFileSync(join(local, '..', 'elsewhere'), 'mine')
  fs.symlinkSync('../elsewhere', join(local, 'link'))
  files.put('link', 'theirs')
  await getTree(files, '', local)
  t.equal(fs.readFileSync(join(local, '..', 'elsewhere'), 'utf8'), 'mine')
  t.equal(fs.readFileSync(join(local, 'link'), 'utf8'), 'theirs')
})

void t.test('names that another system cannot have, or takes for the same, are known', (t) => {
  t.match(whyNotLocal('a\\..\\..\\b', 'win32'), /Windows cannot/)
  for (const name of ['con', 'NUL.txt', 'a:b', 'end.', 'a?'])
    t.match(whyNotLocal(name, 'win32'), /rename it/, name)
  t.equal(whyNotLocal('a\\b:c', 'linux'), undefined)
  t.equal(foldName('README', 'darwin'), foldName('readme', 'darwin'))
  t.not(foldName('README', 'linux'), foldName('readme', 'linux'))
  t.end()
})
