/**
 * `mount-session recover [AGENT/[SESSION]]`. Layer: cli.
 *
 * Invariant: returns 0 only when nothing is left of the sessions that it was about; a mounted one is its
 * daemon's business and passed over unless it was named itself.
 */
import { resolve } from 'node:path'
import { SessionError } from '../session/session-error.ts'
import type { OptionValues } from '../options/table.ts'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { showAddress } from '../options/show-address.ts'
import { knownSessions } from '../session/known-addresses.ts'
import type { RecoveryAction, RecoveryReport } from '../session/recover.ts'
import { showCount } from './amounts.ts'
import { readCommand } from './command-line.ts'
import { confirm } from './confirm.ts'
import { failpointFrom } from './failpoint.ts'
import { interruption } from './interruption.ts'
import { describeLeftover } from './leftovers.ts'
import { createLogger } from './log-output.ts'
import { dataDirectories, parseAddress, requireEndpoint } from './session-arguments.ts'
import { showProgress } from './progress.ts'
import { CommandFailure, complain, describeFailure } from './report-error.ts'
import type { commandList } from './table/command-list.ts'
import type { FlagsOf } from './table/command-row.ts'
import { parseAllOf } from './targets.ts'
import { UsageError } from './usage-error.ts'

type Flags = FlagsOf<typeof commandList.recover>

export async function run(argv: readonly string[]): Promise<number> {
  const {
    words: [name],
    flags,
    values,
    given,
  } = readCommand('recover', argv)
  if (flags.export !== undefined && flags.discard) {
    throw new UsageError('--export and --discard: one after the other', 'recover')
  }
  const roots = dataDirectories(process.env)
  const isOne = name !== undefined && parseAllOf(name) === undefined
  /* several are those of all projects and keys, whatever the environment has, unless a flag names one */
  const { endpoint, isolationKey } = isOne ? values : given
  const sessions = chooseSessions(name, { ...values, endpoint, isolationKey }, roots)
  if (sessions.length === 0) {
    return 0
  }
  if (flags.discard) {
    const names = sessions.map(showAddress).join(', ')
    await confirm(`giving up what is left of ${names}`, flags.yes)
  }
  const { recoverSession } = await import('../session/recover.ts')
  const failpoint = failpointFrom(process.env)
  using interrupted = interruption()
  let exitCode = 0
  const isUpload = flags.export === undefined && !flags.discard
  for (const address of sessions) {
    const title = showAddress(address)
    if (isUpload && !isOne && isForeign(address, values)) {
      complain(`${title}: passed over, MOUNT_SESSION_TOKEN is not for ${address.endpoint}: see --endpoint`)
      exitCode = 1
      continue
    }
    const display = showProgress(process.stderr, title)
    try {
      const report = await recoverSession(
        {
          ...values,
          ...address,
          ...roots,
          action: actionFor(flags, address, sessions.length > 1),
        },
        {
          logger: createLogger({
            level: values.logLevel === 'info' ? 'warn' : values.logLevel,
            descriptor: process.stderr.fd,
          }),
          signal: interrupted.signal,
          failpoint,
          onProgress: display.show,
        },
      )
      display.end()
      exitCode = Math.max(exitCode, describe(title, report, flags))
    } catch (error) {
      display.end()
      if (interrupted.signal.aborted) {
        throw new CommandFailure(`${title}: interrupted; what is left is kept`)
      }
      if (!isOne && error instanceof SessionError && error.code === 'held') {
        complain(`${title}: passed over, ${error.message}`)
        continue
      }
      complain(`${title}: ${describeFailure(error)}`)
      exitCode = 1
    }
  }
  return exitCode
}

/** Those of the address that is given, whole or in part; with a name there must be one. */
function chooseSessions(
  name: string | undefined,
  { endpoint, isolationKey, userIdentity }: Pick<OptionValues, 'endpoint' | 'isolationKey' | 'userIdentity'>,
  roots: DataDirectories,
): readonly SessionAddress[] {
  const wanted = {
    ...(name === undefined ? {} : namesIn(name)),
    endpoint: endpoint === undefined ? undefined : requireEndpoint(endpoint),
    isolationKey,
    userIdentity,
  }
  const parts = Object.entries(wanted) as [keyof SessionAddress, string | undefined][]
  const matching = knownSessions(roots.stateRoot).filter((address) =>
    parts.every(([part, value]) => value === undefined || address[part] === value),
  )
  if (name !== undefined && matching.length === 0) {
    throw new CommandFailure(`nothing of ${name} is kept on this machine`)
  }
  return matching
}

function namesIn(name: string): Partial<Pick<SessionAddress, 'agent' | 'session'>> {
  const agent = parseAllOf(name)
  return agent === undefined ? parseAddress(name, 'recover') : { agent }
}

/** A fixed token goes to the project that --endpoint or the environment names beside it, and to no other. */
function isForeign(address: SessionAddress, { token, endpoint }: OptionValues): boolean {
  return token !== undefined && (endpoint === undefined || requireEndpoint(endpoint) !== address.endpoint)
}

function actionFor(flags: Flags, { agent, session }: SessionAddress, several: boolean): RecoveryAction {
  if (flags.export !== undefined) {
    return {
      kind: 'export',
      directory: several ? resolve(flags.export, agent, session) : resolve(flags.export),
    }
  }
  return { kind: flags.discard ? 'discard' : 'upload' }
}

function describe(title: string, { handled, left, setAside }: RecoveryReport, flags: Flags): number {
  const done = flags.export !== undefined ? 'exported' : flags.discard ? 'given up' : 'uploaded'
  if (handled > 0) {
    process.stdout.write(`${title}: ${showCount(handled, 'path')} ${done}\n`)
  }
  if (left.length > 0) {
    complain([`${title}: not uploaded, and kept:`, ...left.map(describeLeftover)].join('\n'))
  }
  const kept = flags.export === undefined && !flags.discard ? setAside : []
  if (kept.length > 0) {
    const names = kept.map((path) => `  ${path}`)
    complain([`${title}: set aside, take it out with --export DIR:`, ...names].join('\n'))
  }
  return left.length > 0 || kept.length > 0 ? 1 : 0
}
