/**
 * `mount-session logs AGENT/SESSION`: the console of a session, without a mount. Layer: cli.
 *
 * Asks the service itself also where the session is mounted here: a second connection costs nothing, while the file
 * behind `.logs` holds only what was said while somebody had it open.
 *
 * Invariant: each line once and in order, over all connections; Ctrl-C and a reader that goes are the ordinary ends.
 */
import { once } from 'node:events'
import { ServiceError } from '../client/errors.ts'
import type { SessionClient } from '../client/session-client.ts'
import { silentLogger } from '../log.ts'
import { followLogs, type FollowLogsOptions } from '../logs/console-lines.ts'
import { readCommand } from './command-line.ts'
import { showFrame, type LogFormat } from './console-format.ts'
import { complain, CommandFailure } from './report-error.ts'
import { talkToService } from './service.ts'
import { mostReplayed } from './table/console-commands.ts'
import { parseTarget, type Target } from './targets.ts'
import { UsageError } from './usage-error.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('logs', argv)
  const target = parseTarget(words[0] ?? '', 'logs')
  if (target.path !== '')
    throw new UsageError(`${words[0]}: a session has one console: leave out the path`, 'logs')
  const { follow, tail, stream: streams } = flags
  if (flags.json && flags.format !== undefined && flags.format !== 'json')
    throw new UsageError(`--json and --format ${flags.format}: give one of them`, 'logs')
  const format = flags.json ? 'json' : (flags.format ?? (process.stdout.isTTY ? 'text' : 'raw'))
  if (tail !== undefined && tail > mostReplayed)
    complain(`the service has the last ${mostReplayed} lines, no more: -n ${tail} begins with those`)
  const sinceMs = flags.since?.(Date.now())
  await talkToService(values, target, async ({ client, signal }) => {
    try {
      await print(client, target, format, { follow, tail, sinceMs, streams, signal })
    } catch (error) {
      if (!signal.aborted) throw error
      /* a reader that stands still would be waited for with what it has not taken */
      if (process.stdout.writableLength > 0) process.exit(0)
    }
  })
  return 0
}

async function print(
  client: SessionClient,
  { agent, session }: Target,
  format: LogFormat,
  options: FollowLogsOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { firstAnswer } = await import('../session/connect.ts')
  const { signal } = options
  const name = `${agent}/${session}`
  const { agentVersion } = await firstAnswer(({ retry }) =>
    client.getSession(agent, session, { signal, retry }),
  )
  const logger = {
    ...silentLogger,
    warn: (_fields: object, message: string): void => complain(message),
  }
  let hasBegun = false
  try {
    for await (const frame of followLogs(client, agent, session, { ...options, agentVersion, logger })) {
      hasBegun = true
      if (!process.stdout.write(`${showFrame(frame, format)}\n`))
        await once(process.stdout, 'drain', { signal })
    }
  } catch (error) {
    const isGone = error instanceof ServiceError && error.code === 'session_not_found'
    if (!isGone || !hasBegun) throw error
    throw new CommandFailure(
      `${name} was deleted meanwhile: \`mount-session session list ${agent}\` lists those there are`,
    )
  }
}
