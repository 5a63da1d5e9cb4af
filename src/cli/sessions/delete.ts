/**
 * `mount-session session delete AGENT/SESSION…`. Layer: cli.
 *
 * Invariant: each session is looked at first, for the service takes the deletion of one that never was for done;
 * what is about to go is said before anything goes.
 */
import { showAddress } from '../../options/show-address.ts'
import { showCount } from '../amounts.ts'
import { readCommand } from '../command-line.ts'
import { confirm } from '../confirm.ts'
import { writeJson } from '../output.ts'
import { complain } from '../report-error.ts'
import { talkToService } from '../service.ts'
import { sessionSummary } from './describe.ts'
import { forEach, sessionsOf } from './each.ts'
import { localState, type LocalState } from './local.ts'

const mostInQuestion = 2

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('session delete', argv)
  const sessions = sessionsOf(words, 'session delete')
  const { agent = '' } = sessions[0] ?? {}
  const deleted = await talkToService(values, { agent }, async (conversation) => {
    const { firstAnswer } = await import('../../session/connect.ts')
    const { client, signal } = conversation
    const summaries: string[] = []
    const there = await forEach(
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
        const name = showAddress(address)
        summaries.push(`${name} (${sessionSummary(session, Date.now())})`)
        for (const warning of warnings(local)) complain(`${name} ${warning}`)
      },
    )
    signal.throwIfAborted()
    if (there.length === 0) return there
    await confirm(`deleting ${nameAll(summaries, flags.yes)} with all files`, flags.yes)
    return forEach(
      values,
      conversation,
      there,
      (address) => client.deleteSession(address.agent, address.session, { signal }),
      (_, address) => {
        if (flags.json) writeJson({ ...address, deleted: true })
        else process.stdout.write(`${showAddress(address)} deleted\n`)
      },
    )
  })
  return deleted.length === sessions.length ? 0 : 1
}

/** More than a question has room for are listed before it. */
function nameAll(summaries: readonly string[], areToGo: boolean): string {
  if (summaries.length <= mostInQuestion) return summaries.join(' and ')
  if (!areToGo) process.stderr.write(summaries.map((summary) => `  ${summary}\n`).join(''))
  return `these ${summaries.length} sessions`
}

function warnings({ mounted, shown, waiting }: LocalState): readonly string[] {
  return [
    ...mounted.map((directory) => `is mounted at ${directory}: unmount it first, what is there goes with it`),
    ...shown.map(
      (directory) => `is mounted at ${directory}, with others of the agent: what is there goes with it`,
    ),
    ...(waiting === 0 ? [] : [describeWaiting(waiting)]),
  ]
}

function describeWaiting(waiting: number | undefined): string {
  return waiting === undefined
    ? 'may have changes on this machine that are not uploaded: a process has it and does not say, or its journal cannot be read'
    : `has ${showCount(waiting, 'change')} on this machine that the service has not: "mount-session recover --export DIR" takes them out`
}
