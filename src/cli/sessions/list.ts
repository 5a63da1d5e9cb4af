/**
 * `mount-session session list AGENT`. Layer: cli.
 *
 * Invariant: no more pages are fetched than the rows need.
 */
import type { Session } from '../../client/wire.ts'
import { readCommand } from '../command-line.ts'
import { table, writeJson } from '../output.ts'
import { talkToService } from '../service.ts'
import { parseAgent } from '../targets.ts'
import { sessionHeading, sessionJson, sessionRow } from './describe.ts'

const longestPage = 100

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('session list', argv)
  const agent = parseAgent(words[0] ?? '', 'session list')
  const { limit = Infinity, order, json } = flags
  const sessions = await talkToService(values, { agent }, async ({ client, signal }) => {
    const { firstAnswer } = await import('../../session/connect.ts')
    return firstAnswer(async ({ retry }) => {
      const found: Session[] = []
      const options = { signal, order, pageSize: Math.min(limit, longestPage), retry }
      for await (const session of client.listSessions(agent, options)) {
        /* it can be reached: the pages that follow are tried again */
        options.retry = undefined
        found.push(session)
        if (found.length >= limit) break
      }
      return found
    })
  })
  if (json) {
    writeJson(sessions.map((session) => sessionJson(agent, session)))
    return 0
  }
  if (sessions.length === 0) {
    const key = values.isolationKey === undefined ? '; others may need their --isolation-key' : ''
    process.stderr.write(
      `no sessions of ${agent} that you may see: "mount-session session create ${agent}" makes one${key}\n`,
    )
    return 0
  }
  const now = Date.now()
  process.stdout.write(
    table(
      sessionHeading,
      sessions.map((session) => sessionRow(agent, session, now)),
    ),
  )
  return 0
}
