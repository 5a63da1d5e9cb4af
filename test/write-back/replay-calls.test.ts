/** Calls that were under way when the daemon was killed, and take effect after the next run has answered. */
import t, { type Test } from 'tap'
import { FakeClock } from '../fake-clock.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
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
  /** Kills the run while the first call of this kind is under way; `files.commitLate` carries it out. */
  const killDuring = async (verb: 'makeDirectory' | 'remove', act: () => void): Promise<void> => {
    const gate = files.hold({ verb })
    files.fail({ verb, error: 'network', applied: 'late' })
    act()
    await pass(1000)
    await gate.arrived()
    const crashing = runs.crash()
    gate.release()
    await crashing
  }
  return { files, runs, pass, killDuring }
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
  const { files, runs, pass, killDuring } = await start(t)
  files.put('f', 'before')
  await killDuring('remove', () => runs.changes.removeFile('f', listedFile('f', 6)))
  const copy = runs.changes.create('f', undefined)
  copy.retain()
  copy.write(0, Buffer.from('again'))
  copy.flush()
  copy.release()
  await pass(1000)
  await runs.changes.barrier('', noSignal)
  t.equal(files.text('f'), 'again')
  t.equal(files.commitLate(), 1)
  t.same(files.paths(), [], 'it has taken effect late')
  await pass(80_000)
  t.equal(files.text('f'), 'again')
})
