import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLogger } from '../../src/log.ts'
import { recoverSession } from '../../src/session/recover.ts'
import { makeSessionDirectories } from '../../src/session/directories.ts'
import { Journal } from '../../src/write-back/disk/journal.ts'

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
