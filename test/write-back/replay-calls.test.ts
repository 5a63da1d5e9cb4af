/** Calls that were under way when the daemon was killed, and take effect after the next run has answered. */
import t, { type Test } from 'tap'
import { silentLogger } from '../../src/log.ts'
import { FakeClock } from '../fake-clock.ts'
import { MemoryFiles, type Verb } from '../contract/memory-files.ts'
import { Incarnations } from './incarnations.ts'
import { listedFile, noSignal, quiet } from './rig.ts'

async function start(t: Test) {
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock })
  const runs = await Incarnations.start(files, clock, {})
  t.teardown(() => runs.end())
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1000) {
      clock.advance(Math.min(left, 1000))
      await quiet()
    }
  }
  const write = (path: string, text: string): void => {
    const copy = runs.changes.create(path, undefined)
    copy.retain()
    copy.write(0, Buffer.from(text))
    copy.flush()
    copy.release()
  }
  /** Kills the run while the first call of this kind is under way; `files.commitLate` carries it out. */
  const killDuring = async (verb: Verb, act: () => void): Promise<void> => {
    const gate = files.hold({ verb })
    files.fail({ verb, error: 'network', applied: 'late' })
    act()
    await pass(1000)
    await gate.arrived()
    const crashing = runs.crash()
    gate.release()
    await crashing
  }
  /** Changes the beginning of a file that is in the spool. */
  const rewrite = (path: string, text: string): void => {
    const local = runs.changes.get(path)
    if (local?.kind !== 'file' || local.content.from !== 'spool') throw new Error('it should be in the spool')
    const { copy } = local.content
    copy.retain()
    copy.write(0, Buffer.from(text))
    copy.flush()
    copy.release()
  }
  /** Kills the run; until `release` the next one sends nothing but a file `a`. */
  const killBehind = async (): Promise<{ release: () => void }> => {
    write('a', 'in front')
    const gate = files.hold({ verb: 'upload', path: 'a' })
    await runs.crash({ uploads: 1 })
    await gate.arrived()
    return gate
  }
  return { files, runs, pass, write, rewrite, killDuring, killBehind }
}

void t.test('a directory whose making was under way goes although it comes after its removal', async (t) => {
  const { files, runs, pass, killDuring } = await start(t)
  await killDuring('makeDirectory', () => runs.changes.makeDirectory('d', undefined))
  runs.changes.removeDirectory('d', true)
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.commitLate(), 1)
  t.same(files.paths(), ['d/'], 'it has come late')
  await pass(80_000)
  t.same(files.paths(), [])
})

void t.test('a file that was made again comes back when its removal takes effect late', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  files.put('f', 'before')
  await killDuring('remove', () => runs.changes.removeFile('f', listedFile('f', 6)))
  write('f', 'again')
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.text('f'), 'again')
  t.equal(files.commitLate(), 1)
  t.same(files.paths(), [], 'it has taken effect late')
  await pass(80_000)
  t.equal(files.text('f'), 'again')
})

void t.test('a barrier ends when the directories that a killed upload made are gone as well', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  await killDuring('upload', () => {
    runs.changes.makeDirectory('d', undefined)
    runs.changes.makeDirectory('d/e', undefined)
    write('d/e/f', 'content')
  })
  files.commitLate()
  t.same(files.paths(), ['d/', 'd/e/', 'd/e/f'])
  t.match(runs.changes.get('d'), { kind: 'directory', remote: true }, 'it has to be listed')
  runs.changes.removeFile('d/e/f', undefined)
  runs.changes.removeDirectory('d/e', true)
  runs.changes.removeDirectory('d', true)
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), [])
})

void t.test('and so does one over a directory that only the killed upload can have made', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  files.fail({ verb: 'makeDirectory', path: 'd', error: 'throttled', times: 99 })
  runs.changes.makeDirectory('d', undefined)
  await pass(100)
  // the making of the one below has an unclear end
  files.fail({ verb: 'makeDirectory', path: 'd/e', error: 'network', applied: 'late' })
  runs.changes.makeDirectory('d/e', undefined)
  await pass(100)
  t.same(files.log(), ['makeDirectory d', 'makeDirectory d/e'])
  await killDuring('upload', () => write('d/e/f', 'content'))
  files.commitLate()
  t.same(files.paths(), ['d/', 'd/e/', 'd/e/f'])
  runs.changes.removeFile('d/e/f', undefined)
  runs.changes.removeDirectory('d/e', true)
  runs.changes.removeDirectory('d', true)
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), [])
})

void t.test('a directory that is there is not made again after an upload below it was killed', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  files.fail({ verb: 'makeDirectory', error: 'network', applied: 'first' })
  runs.changes.makeDirectory('d', undefined)
  await pass(2000)
  await runs.changes.barrier('', noSignal)
  t.match(runs.changes.status().paths, [{ path: 'd', state: 'suspect' }])
  await killDuring('upload', () => write('d/f', 'content'))
  files.resetCalls()
  runs.changes.removeFile('d/f', undefined)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), ['d/'])
  t.equal(files.count('makeDirectory'), 0)
})

void t.test('what a killed upload made is completed, and nothing of it deleted first', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  await killDuring('upload', () => {
    runs.changes.makeDirectory('d', undefined)
    write('d/f', 'content')
  })
  files.commitLate()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), ['d/', 'd/f'])
  t.equal(files.text('d/f'), 'content')
  t.equal(files.count('remove'), 0)
})

void t.test('a directory that a killed upload did not make is gone without a look into it', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  await killDuring('upload', () => {
    runs.changes.makeDirectory('d', undefined)
    write('d/f', 'content')
  })
  runs.changes.removeFile('d/f', undefined)
  runs.changes.removeDirectory('d', true)
  files.resetCalls()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), [])
  t.equal(files.count('list', 'd'), 0)
})

void t.test('the bytes of a cut upload stay known when the file is written in the next run', async (t) => {
  const { files, runs, pass, write, rewrite, killBehind } = await start(t)
  files.fail({ verb: 'upload', path: 'f', error: 'network', applied: 'part' })
  write('f', 'long content')
  await pass(100)
  t.equal(files.text('f'), 'long c')
  const behind = await killBehind()
  rewrite('f', 'LONG')
  behind.release()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), ['a', 'f'], 'it is not taken for somebody else')
  t.equal(files.text('f'), 'LONG content')
})

void t.test('and when they have another name by then', async (t) => {
  const { files, runs, pass, write, rewrite, killBehind } = await start(t)
  files.fail({ verb: 'upload', path: 'f', error: 'network', applied: 'part' })
  write('f', 'long content')
  await pass(100)
  t.equal(files.text('f'), 'long c')
  runs.changes.renameFile('f', 'g', undefined, undefined)
  write('f', 'other')
  const behind = await killBehind()
  rewrite('g', 'LONG')
  behind.release()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), ['a', 'f', 'g'], 'it is not taken for somebody else')
  t.equal(files.text('f'), 'other')
  t.equal(files.text('g'), 'LONG content')
})

void t.test('what is written in place in one run is not taken for damage by the next', async (t) => {
  const { files, runs, pass, write, rewrite, killBehind } = await start(t)
  files.fail({ verb: 'upload', path: 'f', error: 'throttled', times: 99 })
  write('f', 'long content')
  await pass(3000)
  const behind = await killBehind()
  rewrite('f', 'LONG')
  const crashing = runs.crash()
  behind.release()
  await crashing
  files.clearFaults()
  t.same(runs.changes.status().setAside, [])
  await runs.changes.barrier('', noSignal)
  t.equal(files.text('f'), 'LONG content')
})

void t.test('a file that is written in each of many runs while it is in doubt is not lost', async (t) => {
  const { files, runs, pass, write } = await start(t)
  files.fail({ verb: 'upload', error: 'network', applied: 'late' })
  write('f', 'run 0')
  await pass(100)
  files.fail({ verb: 'upload', error: 'throttled', times: 1000 })
  for (let run = 1; run <= 12; run++) {
    await runs.crash()
    write('f', `run ${run}`)
    await pass(100)
  }
  files.clearFaults()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.text('f'), 'run 12')
  t.same(runs.changes.status().setAside, [])
})

void t.test('a killed upload that takes effect late does not stay over what was written since', async (t) => {
  const { files, runs, pass, write, killDuring } = await start(t)
  await killDuring('upload', () => write('f', 'first'))
  write('f', 'newest')
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.commitLate(), 1)
  t.equal(files.text('f'), 'first', 'it has come late')
  await pass(80_000)
  t.equal(files.text('f'), 'newest')
})

void t.test('what a killed upload was to overwrite is not taken for somebody else', async (t) => {
  const { files, runs, pass, killDuring } = await start(t)
  files.put('f', 'base')
  await killDuring('upload', () => {
    const copy = runs.changes.create('f', listedFile('f', 4))
    copy.write(0, Buffer.from('content'))
    copy.flush()
  })
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.same(files.paths(), ['f'])
  t.equal(files.text('f'), 'content')
})

void t.test(
  'what was left to somebody else while it was in doubt stays theirs in the next run',
  async (t) => {
    const { files, runs, pass, write } = await start(t)
    const gate = files.hold({ verb: 'upload' })
    files.fail({ verb: 'upload', error: 'network', applied: 'late' })
    write('f', 'ours')
    await pass(100)
    await gate.arrived()
    files.put('f', 'theirs')
    const crashing = runs.crash()
    gate.release()
    await crashing
    await pass(1000)
    await runs.changes.barrier('', noSignal)
    t.equal(files.text('f'), 'theirs')
    const said: string[] = []
    files.resetCalls()
    await runs.crash({ logger: { ...silentLogger, error: (_, message) => said.push(message) } })
    t.match(runs.changes.get('f'), { kind: 'file', size: 6 })
    await runs.changes.barrier('', noSignal)
    await pass(80_000)
    t.equal(files.text('f'), 'theirs')
    t.equal(files.count('upload', 'f') + files.count('remove', 'f'), 0)
    t.same(said, [])
  },
)

void t.test('an upload that was killed is finished although such names stay here from now on', async (t) => {
  const { files, runs, pass, write } = await start(t)
  const gate = files.hold({ verb: 'upload' })
  files.fail({ verb: 'upload', error: 'network', applied: 'part' })
  write('f', 'long content')
  await pass(100)
  await gate.arrived()
  const crashing = runs.crash({ localNames: ['f'] })
  gate.release()
  await crashing
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.text('f'), 'long content')
})
