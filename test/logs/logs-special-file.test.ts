import t from 'tap'
import type { SpecialFile } from '../../src/filesystem/special-file.ts'
import { silentLogger } from '../../src/log.ts'
import { LogFollower } from '../../src/logs/follow-logs.ts'
import { LogFile } from '../../src/logs/log-file.ts'
import { LogsSpecialFile } from '../../src/logs/logs-special-file.ts'
import { FakeClock } from '../fake-clock.ts'
import { ScriptedStream, turns } from './scripted-stream.ts'

void t.test('the log as a special file: grows while open, counts its handles', async (t) => {
  const clock = new FakeClock()
  const stream = new ScriptedStream()
  const file = new LogFile({ directory: t.testdir() })
  const follower = new LogFollower({
    openStream: stream.open,
    file,
    clock,
    logger: silentLogger,
    mode: 'open',
  })
  const special: SpecialFile = new LogsSpecialFile(file, follower)
  t.equal(special.name, '.logs')
  t.equal(special.size(), 0)
  t.equal(stream.connections.length, 0, 'its size asks for nothing')

  const { signal } = new AbortController()
  const opening = special.open(signal)
  await turns()
  stream.last.answer()
  stream.last.send('first')
  await turns()
  clock.advance(300)
  const open = await opening
  t.equal(open.size(), 6)
  t.equal(Buffer.from(await open.read(0, 100, signal)).toString(), 'first\n')
  stream.last.send('second')
  await turns()
  t.equal(open.size(), 13)
  t.equal(Buffer.from(await open.read(6, 100, signal)).toString(), 'second\n')
  open.close()
  open.close()
  t.equal(follower.status.openHandles, 0)

  const abort = new AbortController()
  abort.abort(new Error('interrupted'))
  await t.rejects(async () => special.open(abort.signal), { message: 'interrupted' })
  t.equal(follower.status.openHandles, 0)
  await follower.stop()
  file.close()
})
