/**
 * `mount-session session stop AGENT/SESSION…`. Layer: cli.
 *
 * Invariant: a session that is stopped already is no error, and is said.
 */
import { showAddress } from '../../options/show-address.ts'
import { readCommand } from '../command-line.ts'
import { writeJson } from '../output.ts'
import { complain } from '../report-error.ts'
import { talkToService } from '../service.ts'
import { forEach, sessionsOf } from './each.ts'
import { localState } from './local.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('session stop', argv)
  const sessions = sessionsOf(words, 'session stop')
  const { agent = '' } = sessions[0] ?? {}
  const stopped = await talkToService(values, { agent }, async (conversation) => {
    const { firstAnswer } = await import('../../session/connect.ts')
    const { client, signal } = conversation
    return forEach(
      values,
      conversation,
      sessions,
      async (address) => ({
        wasRunning: await firstAnswer((options) =>
          client.stopSession(address.agent, address.session, { signal, ...options }),
        ),
        local: await localState(values, address),
      }),
      ({ wasRunning, local: { mounted, shown } }, address) => {
        const name = showAddress(address)
        if (flags.json) writeJson({ ...address, stopped: true, already: !wasRunning })
        else process.stdout.write(`${name} ${wasRunning ? 'stopped' : 'was stopped already'}\n`)
        for (const directory of [...mounted, ...shown])
          complain(`${name} is mounted at ${directory}: whatever is read or written there wakes it again`)
      },
    )
  })
  return stopped.length === sessions.length ? 0 : 1
}
