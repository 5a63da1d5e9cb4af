/**
 * Which calls wait for which.
 */
import t from 'tap'
import { Lanes } from '../../src/client/lanes.ts'
import { FakeClock } from '../fake-clock.ts'

void t.test('a listing waits for no download, and neither for an upload', async (t) => {
  const lanes = new Lanes({ reads: 2, writes: 1 }, new FakeClock())
  const downloads = lanes.of({ verb: 'download', method: 'GET' })
  await Promise.all([downloads.acquire(), downloads.acquire()])
  await lanes.of({ verb: 'upload', method: 'PUT' }).acquire()
  await lanes.of({ verb: 'list', method: 'GET' }).acquire()
  await lanes.of({ verb: 'getSession', method: 'GET' }).acquire()
  t.match(lanes.load, { reads: { running: 2 }, questions: { running: 2 }, writes: { running: 1 } })
})

void t.test('downloads that nothing comes of do not keep another waiting', async (t) => {
  const lanes = new Lanes({ reads: 2 }, new FakeClock())
  const downloads = lanes.of({ verb: 'download', method: 'GET' })
  for (const slot of await Promise.all([downloads.acquire(), downloads.acquire()])) slot.rest(true)
  await downloads.acquire()
  t.equal(lanes.load.reads.running, 3)
})
