/**
 * State of a killed daemon that was damaged before the next one: nothing of it is uploaded as it is, nothing is gone
 * without a word, and what is left of it can be taken out.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Operation } from './operations.ts'
import { MortalMount } from './rig.ts'
import { damageSpooled, spooledIn, spooledText } from '../write-back/spooled-files.ts'

const making = (...names: readonly string[]): Operation[] =>
  names.flatMap((name) => [
    { do: 'create', path: name },
    { do: 'write', path: name, text: `content of ${name}` },
    { do: 'close', path: name },
  ])

interface Killed {
  readonly mount: MortalMount
  /** Its file. */
  readonly journal: string
  /** How long the journal's log was when two of the three files had been made. */
  readonly beforeThree: number
}

/** Killed while nothing of this was on the service, and all of it was sealed. */
async function killed(t: Test): Promise<Killed> {
  const mount = await MortalMount.start(t)
  await mount.mount()
  const clear = mount.emulator.fault({ verb: 'upload', kind: 'status', status: 401 })
  await mount.perform(t, making('one', 'two'))
  const state = join(mount.work.root, 'state')
  const names = fs.readdirSync(state, { recursive: true, encoding: 'utf8' })
  const journal = join(state, names.find((name) => name.endsWith('journal/journal.db')) ?? '')
  const beforeThree = fs.statSync(`${journal}-wal`).size
  await mount.perform(t, making('three'))
  while (!['one', 'two', 'three'].every((name) => mount.isSealed(name)))
    await new Promise((resolve) => setTimeout(resolve, 50))
  await mount.kill()
  // what the daemon sent last has arrived when what is asked after it is answered
  await fetch(mount.emulator.endpoint)
  clear()
  return { mount, journal, beforeThree }
}

async function exported(mount: MortalMount): Promise<Record<string, string>> {
  const directory = fs.mkdtempSync(join(mount.work.root, 'exported-'))
  await mount.command(['unmount', '--force', mount.directory])
  const { code, stderr } = await mount.command(['recover', '--export', directory, mount.emulator.target])
  if (code !== 0) throw new Error(stderr)
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => fs.statSync(join(directory, name)).isFile())
  return Object.fromEntries(files.map((name) => [name, fs.readFileSync(join(directory, name), 'utf8')]))
}

const contents = ['content of one', 'content of three', 'content of two']

const losses: Readonly<Record<string, (journal: string, beforeThree: number) => void>> = {
  removed: (journal) => fs.rmSync(`${journal}-wal`),
  'cut to nothing': (journal) => fs.truncateSync(`${journal}-wal`),
  'cut in its midst': (journal, beforeThree) => fs.truncateSync(`${journal}-wal`, beforeThree + 100),
  'altered in its midst': (journal, beforeThree) => {
    const bytes = fs.readFileSync(`${journal}-wal`)
    bytes.fill(0xff, beforeThree, beforeThree + 100)
    fs.writeFileSync(`${journal}-wal`, bytes)
  },
}

for (const [how, damage] of Object.entries(losses)) {
  void t.test(`the journal's log is ${how}: what it lost is said, and can be taken out`, async (t) => {
    const { mount, journal, beforeThree } = await killed(t)
    damage(journal, beforeThree)
    fs.rmSync(`${journal}-shm`, { force: true })
    await mount.mount()
    const { setAside } = await mount.status()
    t.ok(setAside.length > 0)
    for (const { path } of setAside) t.match(path, /^(one|two|three)$/)
    const shown = await mount.command(['status', mount.directory])
    t.match(shown.stdout, /set aside/)
    t.match(
      fs.readFileSync(join(mount.work.root, 'daemon.log'), 'utf8'),
      /set aside, not uploaded: the journal that knew of it is lost/,
    )
    t.match(await mount.command(['sync', mount.directory]), { code: 0 })
    const served = Object.values(mount.served())
    /* of what was on its way when the daemon was killed a copy stays here until it is certain that nothing comes late */
    const unsettled = (await mount.status()).paths
    const kept = await exported(mount)
    for (const { path, state } of unsettled) t.equal(state, 'suspect', path)
    t.ok([...setAside].every(({ path }) => path in kept))
    const settled = Object.entries(kept).filter(([name]) => !unsettled.some(({ path }) => path === name))
    t.same([...served, ...settled.map(([, text]) => text)].sort(), contents)
  })
}

for (const [how, damage] of Object.entries({
  zeroed: (journal: string) => fs.writeFileSync(journal, Buffer.alloc(fs.statSync(journal).size)),
  'something else': (journal: string) =>
    fs.writeFileSync(journal, 'not a database, but long enough to be one'.repeat(200)),
  'damaged within': (journal: string) => {
    const bytes = fs.readFileSync(journal)
    bytes.fill(0xff, 100)
    fs.writeFileSync(journal, bytes)
  },
})) {
  void t.test(`a journal that is ${how} is set aside with its spool, and the session mounts`, async (t) => {
    const { mount, journal } = await killed(t)
    fs.rmSync(`${journal}-wal`)
    fs.rmSync(`${journal}-shm`, { force: true })
    damage(journal)
    await mount.mount()
    t.match(fs.readFileSync(join(mount.work.root, 'daemon.log'), 'utf8'), /set aside/)
    t.same(mount.served(), {})
    const taken = await exported(mount)
    t.same(Object.values(taken).sort(), contents)
    t.comment(Object.keys(taken).join(' '))
  })
}

void t.test('a spool file that was shortened or altered is set aside, and never sent', async (t) => {
  const { mount, journal } = await killed(t)
  const directory = join(journal, '..')
  for (const name of spooledIn(directory)) {
    const text = spooledText(directory, name)
    if (text.endsWith('one')) damageSpooled(directory, name, text.slice(0, 3))
    if (text.endsWith('two')) damageSpooled(directory, name, text.toUpperCase())
  }
  await mount.mount()
  t.match((await mount.status()).setAside, [{ path: 'one' }, { path: 'two' }])
  const synced = await mount.command(['sync', mount.directory])
  t.match(synced, { code: 0 })
  t.same(mount.served(), { three: 'content of three' })
})

void t.test('a kill alone sets nothing aside', async (t) => {
  const { mount } = await killed(t)
  await mount.mount()
  t.same((await mount.status()).setAside, [])
  t.match(await mount.command(['sync', mount.directory]), { code: 0 })
  t.same(Object.values(mount.served()).sort(), contents)
})
