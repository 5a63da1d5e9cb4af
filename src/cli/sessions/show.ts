/**
 * `mount-session session show AGENT/SESSION…`. Layer: cli.
 *
 * Invariant: neither the service nor a mount is woken by it.
 */
import { showAddress } from '../../options/show-address.ts'
import { showCount } from '../amounts.ts'
import { readCommand } from '../command-line.ts'
import { styled, writeJson } from '../output.ts'
import { talkToService } from '../service.ts'
import { sessionJson, sessionLines } from './describe.ts'
import { forEach, sessionsOf } from './each.ts'
import { localState, type LocalState } from './local.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('session show', argv)
  const sessions = sessionsOf(words, 'session show')
  const { agent = '' } = sessions[0] ?? {}
  const shown = await talkToService(values, { agent }, async (conversation) => {
    const { firstAnswer } = await import('../../session/connect.ts')
    const { client, signal } = conversation
    return forEach(
      values,
      conversation,
      sessions,
      async (address) => ({
        session: await firstAnswer((options) =>
          client.getSession(address.agent, address.session, { signal, ...options }),
        ),
        local: await localState(values, address),
      }),
      ({ session, local }, address) => {
        if (flags.json) {
          const { mounted, shown, waiting = null } = local
          writeJson({ ...sessionJson(address.agent, session), mounted: [...mounted, ...shown], waiting })
          return
        }
        const title = styled('bold', showAddress(address))
        process.stdout.write(`${title}\n${sessionLines(session, Date.now(), localLines(local))}`)
      },
    )
  })
  return shown.length === sessions.length ? 0 : 1
}

function localLines({ mounted, shown, waiting }: LocalState): readonly (readonly [string, string])[] {
  return [
    ...[...mounted, ...shown].map((directory) => ['mounted', directory] as const),
    ...(waiting === 0 ? [] : [['waiting', describeWaiting(waiting)] as const]),
  ]
}

function describeWaiting(waiting: number | undefined): string {
  return waiting === undefined
    ? 'not known: a process here has the session and does not say, or its journal cannot be read'
    : `${showCount(waiting, 'change')} on this machine only`
}
