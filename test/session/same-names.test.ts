import t from 'tap'
import type { SessionFiles } from '../../src/client/session-files.ts'
import { silentLogger } from '../../src/log.ts'
import { SameNames } from '../../src/session/same-names.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { assembleOver } from '../assembly.ts'
import { noSignal, quiet } from '../write-back/rig.ts'

/** A service that keeps names in a form of its own. */
function keeping(files: MemoryFiles, form: (path: string) => string): SessionFiles {
  return {
    list: (directory, options) => files.list(form(directory), options),
    download: (path, options) => files.download(form(path), options),
    upload: (path, source, options) => files.upload(form(path), source, options),
    remove: (path, options) => files.remove(form(path), options),
    makeDirectory: (path, options) => files.makeDirectory(form(path), options),
  }
}

const forms = {
  NFC: { form: (path: string) => path.normalize('NFC'), name: 'e\u0301te\u0301', other: '\u00e9t\u00e9' },
  NFD: { form: (path: string) => path.normalize('NFD'), name: '\u00e9t\u00e9', other: 'e\u0301te\u0301' },
  'small letters': { form: (path: string) => path.toLowerCase(), name: 'README', other: 'readme' },
} as const

async function namesOf(files: SessionFiles, directory: string): Promise<string[]> {
  const names: string[] = []
  for await (const page of files.list(directory)) names.push(...page.map(({ name }) => name))
  return names
}

for (const [what, { form, name, other }] of Object.entries(forms)) {
  void t.test(
    `a name that comes back in ${what} is the name that was sent, and that is said once`,
    async (t) => {
      const clock = new FakeClock()
      const files = new MemoryFiles({ clock })
      const said: string[] = []
      const warn = (_: object, message: string): void => {
        said.push(message)
      }
      const assembly = await assembleOver({
        files: keeping(files, form),
        clock,
        directory: t.testdir(),
        logger: { ...silentLogger, warn, error: warn },
      })
      const { changes, listings } = assembly
      t.teardown(() => assembly.close())
      const write = (path: string, text: string): void => {
        const copy = changes.create(path, listings.newest('')?.entries.get(path))
        copy.retain()
        copy.write(0, Buffer.from(text))
        copy.flush()
        copy.release()
      }
      write(name, 'first')
      changes.makeDirectory(`${name}.d`, undefined)
      write(`${name}.d/${name}`, 'below')
      await changes.barrier('', noSignal)
      t.equal(files.text(other), 'first')
      for (let second = 0; second < 15; second++) {
        clock.advance(1000)
        await quiet()
        const { entries } = await listings.list('', { maxAgeMs: 0 })
        t.same([...entries.keys()].sort(), [name, `${name}.d`].sort())
      }
      t.equal(changes.get(name), undefined, 'the listing has taken over')
      t.same([...(await listings.list(`${name}.d`)).entries.keys()], [name])
      write(name, 'second, longer')
      await changes.barrier('', noSignal)
      files.put(other, 'of the agent')
      t.match((await listings.list('', { maxAgeMs: 0 })).entries.get(name), { size: 12 })
      t.same(said, ['the service gives names back in another form: they are shown as they were sent'])
      t.same(changes.status().setAside, [])
    },
  )
}

void t.test('names that a service tells apart are shown both', async (t) => {
  const memory = new MemoryFiles()
  const files = new SameNames(memory, silentLogger)
  memory.put('README', 'same')
  await files.upload('readme', Buffer.from('same'))
  t.same((await namesOf(files, '')).sort(), ['README', 'readme'])
  await files.remove('readme')
  t.same(await namesOf(files, ''), ['README'])
})

void t.test('what has another size is somebody else’s', async (t) => {
  const memory = new MemoryFiles()
  const files = new SameNames(memory, silentLogger)
  await files.upload('readme', Buffer.from('ours'))
  memory.take('readme')
  memory.put('README', 'theirs')
  t.same(await namesOf(files, ''), ['README'])
})
