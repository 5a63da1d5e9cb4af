import { mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OpenFiles } from '../../src/cache/open-files.ts'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { recoverSession } from '../../src/session/recover.ts'
import { makeSessionDirectories } from '../../src/session/directories.ts'
import { openJournal } from '../../src/session/namesake.ts'
import { Journal } from '../../src/write-back/disk/journal.ts'
import { Spool } from '../../src/write-back/disk/spool.ts'

const address = {
  endpoint: 'http://127.0.0.1:1/p',
  agent: 'agent',
  session: 'session',
  isolationKey: undefined,
  userIdentity: undefined,
}

void t.test('a file and what was below a directory of its name are exported both', async (t) => {
  const root = t.testdir()
  const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
  const directory = join(makeSessionDirectories(address, roots).state, 'journal')
  mkdirSync(join(directory, 'spool'), { recursive: true })
  const journal = new Journal({ file: join(directory, 'journal.db'), boot: 'boot-1' })
  for (const [index, path] of ['a', 'a/b', 'a/c', 'a'].entries()) {
    const generation = index + 1
    writeFileSync(join(directory, 'spool', String(generation)), `${generation} ${path}`)
    journal.setAside({ generation, path, reason: 'test', at: generation })
  }
  journal.close()
  const target = join(root, 'exported')
  const action = { kind: 'export', directory: target } as const
  const dependencies = {
    logger: silentLogger,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  }
  const options = { ...address, ...roots, action } as Parameters<typeof recoverSession>[0]
  t.match(await recoverSession(options, dependencies), { handled: 4 })
  const exported = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
  t.same(exported.sort(), ['1 a', '2 a/b', '3 a/c', '4 a'])
})

for (const [how, damage] of Object.entries<(file: string) => void>({
  zeroed: (file) => writeFileSync(file, Buffer.alloc(8192)),
  'cut to a piece': (file) => truncateSync(file, 5000),
  deleted: (file) => rmSync(file),
})) {
  void t.test(`what the spool holds of a journal that was ${how} is exported under its names`, async (t) => {
    const root = t.testdir()
    const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
    const directory = join(makeSessionDirectories(address, roots).state, 'journal')
    mkdirSync(directory, { recursive: true })
    new Journal({ file: join(directory, 'journal.db'), boot: 'boot-1' }).close()
    const spool = new Spool(join(directory, 'spool'), 0, new OpenFiles(10))
    for (const path of ['a', 'd/b']) {
      const generation = spool.createEmpty()
      spool.write(generation, 0, Buffer.from(`bytes of ${path}`))
      spool.name(generation, path)
    }
    spool.close()
    damage(join(directory, 'journal.db'))
    const open = (): Journal =>
      openJournal(directory, 1, {
        boot: 'boot-1',
        clock: systemClock,
        failpoint: undefined,
        logger: { ...silentLogger, error: (_: object, message: string) => void said.push(message) },
      })
    const said: string[] = []
    if (how !== 'deleted') {
      open().close()
      t.match(said, [/the journal is damaged: it is set aside/])
    }
    const target = join(root, 'exported')
    const action = { kind: 'export', directory: target } as const
    const options = { ...address, ...roots, action } as Parameters<typeof recoverSession>[0]
    const report = await recoverSession(options, {
      logger: silentLogger,
      signal: new AbortController().signal,
      onProgress: () => undefined,
    })
    t.match(report, { handled: 2, setAside: ['a', 'd/b'] })
    for (const path of ['a', 'd/b']) t.equal(readFileSync(join(target, path), 'utf8'), `bytes of ${path}`)
  })
}
