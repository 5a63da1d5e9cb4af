/** Each part of the fetching ahead can be left out, and then what it fetched is asked for one after the other. */
import t from 'tap'
import type { PrefetchPart } from '../../src/prefetch/parts.ts'
import { WalkRig } from './walk-rig.ts'

const without = (...parts: PrefetchPart[]) => ({ leaveOut: new Set(parts) })

void t.test('without walks each thing is fetched by who comes to it', async (t) => {
  const rig = new WalkRig(t.testdir(), without('walks'))
  rig.plant(10, 5)
  const seen: string[] = []
  await rig.walk('tree', async (path) => seen.push(await rig.cat(path)))
  t.equal(seen.length, 50)
  t.equal(rig.files.maxRunning, 1)
  t.ok(rig.files.calls.every((call) => call.priority !== -1))
})

void t.test('without the others a walk is fetched ahead of as ever', async (t) => {
  const rig = new WalkRig(t.testdir(), without('repositories', 'pace'))
  rig.plant(50, 20)
  await rig.walk('tree', (path) => rig.cat(path))
  t.equal(rig.files.count('list'), 51)
  t.equal(rig.files.count('download'), 1000)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
})
