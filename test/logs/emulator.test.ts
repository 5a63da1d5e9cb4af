/** The follower over real connections: the client, the emulator, its awkward log streams. */
import { once, EventEmitter } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { systemClock } from '../../src/clock.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { silentLogger } from '../../src/log.ts'
import { LogFollower } from '../../src/logs/follow-logs.ts'
import { LogFile } from '../../src/logs/log-file.ts'
import { LogsSpecialFile } from '../../src/logs/logs-special-file.ts'

const agent = 'weather'
const session = 'session-1'

void t.test('ends, resets and replays in split frames lose and double no line', async (t) => {
  const directory = t.testdir({ data: {}, logs: {} })
  const emulator = await startEmulator({
    data: join(directory, 'data'),
    seed: [{ agent, session }],
    logStream: { splitFrames: true, replayLines: 7 },
  })
  const client = new SessionClient({
    endpoint: emulator.endpoint,
    credential: { getToken: () => Promise.resolve({ token: emulator.token, expiresOnTimestamp: Infinity }) },
  })

  const file = new LogFile({ directory: join(directory, 'logs') })
  const changes = new EventEmitter()
  const append = file.append.bind(file)
  file.append = (lines) => {
    append(lines)
    changes.emit('appended')
  }
  const messages = (): string[] =>
    Buffer.from(file.read(0, 1e6))
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { stream?: string; message?: string })
      .filter(({ stream }) => stream === 'stdout')
      .map(({ message }) => message ?? '')
  const follower = new LogFollower({
    openStream: (signal) => client.getSessionLogStream(agent, session, { signal, retry: false }),
    file,
    clock: systemClock,
    logger: silentLogger,
    mode: 'open',
    random: () => 0,
  })
  /* before the fixture's directory goes */
  const close = async (): Promise<void> => {
    await follower.stop()
    file.close()
    await client.close()
    await emulator.close()
  }

  const said: string[] = []
  const say = (): void => {
    said.push(`größte Zeile ${said.length} 🦜`)
    emulator.appendLog(agent, session, said.slice(-1))
  }
  const shown = async (): Promise<void> => {
    const signal = AbortSignal.timeout(20_000)
    while (messages().length < said.length) await once(changes, 'appended', { signal })
  }

  try {
    for (let count = 0; count < 5; count++) say()
    const logs = await new LogsSpecialFile(file, follower).open(new AbortController().signal)
    await shown()
    for (const reset of [false, true, true, false]) {
      say()
      await shown()
      emulator.closeLogStreams({ reset })
      for (let count = 0; count < 3; count++) say()
      await shown()
    }
    t.same(messages(), said)
    t.ok(follower.status.connections >= 5)
    logs.close()
  } finally {
    await close()
  }
})
