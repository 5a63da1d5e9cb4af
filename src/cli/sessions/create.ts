/**
 * `mount-session session create AGENT`. Layer: cli.
 *
 * Invariant: stdout has AGENT/SESSION alone, as soon as there is one; nothing is asked for a second time whose end
 * is not known, for that would make two.
 */
import { resolve } from 'node:path'
import { ServiceError } from '../../client/errors.ts'
import type { NewSession } from '../../client/operation-options.ts'
import type { Session } from '../../client/wire.ts'
import { optionRows } from '../../options/table.ts'
import { readCommand, type ParsedCommand } from '../command-line.ts'
import { writeJson } from '../output.ts'
import { CommandFailure, complain, describeFailure } from '../report-error.ts'
import { serviceOptionsOf, talkToService, type Conversation } from '../service.ts'
import { parseAgent } from '../targets.ts'
import { sessionJson } from './describe.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values, given } = readCommand('session create', argv)
  const agent = parseAgent(words[0] ?? '', 'session create')
  const { endpoint } = serviceOptionsOf(values)
  const directory = flags.mount === undefined ? undefined : resolve(flags.mount)
  /* before there is a session that nobody wanted without it */
  if (directory !== undefined) await (await import('../../mount/mount-point.ts')).prepareMountPoint(directory)
  const wanted = { sessionId: flags.id, agentVersion: flags.agentVersion }
  const session = await talkToService(values, { agent }, (conversation) =>
    create(conversation, agent, wanted).catch((error: unknown) => {
      throw explained(error, `${agent} at ${endpoint}`, agent, wanted)
    }),
  )
  const name = `${agent}/${session.sessionId}`
  if (!flags.json) process.stdout.write(`${name}\n`)
  const isMounted = directory !== undefined && (await mount(name, directory, given))
  if (flags.json) {
    const place = directory === undefined ? {} : { directory: isMounted ? directory : null }
    writeJson({ ...sessionJson(agent, session), ...place })
  }
  return directory === undefined || isMounted ? 0 : 1
}

async function create({ client, signal }: Conversation, agent: string, wanted: NewSession): Promise<Session> {
  const { firstAnswer } = await import('../../session/connect.ts')
  return firstAnswer((options) => client.createSession(agent, wanted, { signal, ...options }), {
    idempotent: false,
  })
}

/** In place of what is said of a session that is there already, or of an agent. */
function explained(error: unknown, where: string, agent: string, wanted: NewSession): unknown {
  if (!(error instanceof ServiceError)) return error
  const { sessionId, agentVersion } = wanted
  if (error.ambiguous) {
    const look =
      sessionId === undefined
        ? `session list ${agent} --order desc --limit 5`
        : `session show ${agent}/${sessionId}`
    return new CommandFailure(
      `${where}: there may be a new session all the same: "mount-session ${look}" shows it (${error.message})`,
    )
  }
  if (error.code === 'conflict' && sessionId !== undefined)
    return new CommandFailure(
      `${agent}/${sessionId} is there already: choose another --id, or use that one (${error.message})`,
    )
  if (error.code === 'not_found' && agentVersion !== undefined)
    return new CommandFailure(
      `${where}: no such agent, or no version ${agentVersion} of it (${error.message})`,
    )
  return error
}

/** As `mount-session AGENT/SESSION DIR` with the same options; whether it is mounted. */
async function mount(
  name: string,
  directory: string,
  given: ParsedCommand<'session create'>['given'],
): Promise<boolean> {
  const flags = optionRows.flatMap(([option, { flag }]) => {
    const value = given[option]
    return flag === undefined || value === undefined ? [] : [`--${flag}`, value]
  })
  let code = 1
  try {
    code = await (await import('../mount.ts')).run([...flags, name, directory])
  } catch (error) {
    complain(describeFailure(error))
  }
  if (code !== 0)
    complain(`${name} is there, and not mounted: "mount-session ${name} ${directory}" tries again`)
  return code === 0
}
