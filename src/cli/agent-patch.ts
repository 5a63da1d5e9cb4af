/**
 * `mount-session agent patch AGENT --file FILE`. Layer: cli.
 *
 * Invariant: nothing is sent that the client does not know; whoever reads the output knows what was asked for, and
 * where the service made something else of it.
 */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { isDeepStrictEqual } from 'node:util'
import { patchBody, type AgentPatch } from '../client/agent-patch.ts'
import { readAgentPatch } from '../client/agent-patch-schema.ts'
import { ServiceError } from '../client/errors.ts'
import { readCommand } from './command-line.ts'
import { printable, writeJson } from './output.ts'
import { CommandFailure, complain } from './report-error.ts'
import { talkToService } from './service.ts'
import { parseAgent } from './targets.ts'

type Change = { readonly path: readonly string[] } & (
  { readonly value: unknown } | { readonly removed: true }
)

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('agent patch', argv)
  const agent = parseAgent(words[0] ?? '', 'agent patch')
  const name = flags.file === '-' ? 'stdin' : flags.file
  const patch = readPatch(name, await (flags.file === '-' ? text(process.stdin) : readFile(name, 'utf8')))
  if (patch === undefined) return 1
  const changes = changesOf(patchBody(patch), [])
  const answer = flags.dryRun
    ? undefined
    : await talkToService(values, { agent }, async ({ client, signal }) => {
        const { firstAnswer } = await import('../session/connect.ts')
        return firstAnswer((options) => client.patchAgent(agent, patch, { signal, ...options })).catch(
          (error: unknown) => {
            throw explained(error, agent)
          },
        )
      })
  if (flags.json) {
    const told = changes.map((change) => ({ ...change, path: change.path.join('.') }))
    writeJson({ agent, sent: !flags.dryRun, changes: told, agentResource: answer?.resource ?? null })
    return 0
  }
  for (const change of changes) process.stdout.write(`${describeChange(change, answer?.resource)}\n`)
  if (flags.dryRun) process.stderr.write('nothing was sent\n')
  return 0
}

function explained(error: unknown, agent: string): unknown {
  if (!(error instanceof ServiceError) || !error.ambiguous) return error
  return new CommandFailure(
    `${agent} may be patched all the same: the same patch again does no harm (${error.message})`,
  )
}

/** Undefined, with every mistake told, where it is none. */
function readPatch(name: string, written: string): AgentPatch | undefined {
  const read = readAgentPatch(parseJson(name, written))
  if (read.ok) return read.patch
  const lines = read.issues.map(({ path, message }) => `  ${path === '' ? 'the whole' : path}: ${message}`)
  complain([`${name} is no patch of an agent; nothing was sent:`, ...lines].join('\n'))
  return undefined
}

function parseJson(name: string, written: string): unknown {
  try {
    /* editors of another system begin a file with a mark */
    return JSON.parse(written.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new CommandFailure(`${name}: it must be JSON: ${(error as Error).message}`)
  }
}

/** The leaves of a patch: an array is replaced as a whole, and an empty object is one. */
function changesOf(value: unknown, path: readonly string[]): readonly Change[] {
  if (value === null) return [{ path, removed: true }]
  const isInner = typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0
  if (!isInner) return [{ path, value }]
  return Object.entries(value).flatMap(([name, member]) => changesOf(member, [...path, name]))
}

/** `agent_card.description: "sorts tickets"`, and what the answer has there, where that is something else. */
function describeChange(change: Change, answer: unknown): string {
  const wanted = 'value' in change ? change.value : undefined
  const line = `${change.path.join('.')}: ${'value' in change ? JSON.stringify(wanted) : 'removed'}`
  const now = change.path.reduce(
    (inner, name) => (inner as Record<string, unknown> | undefined)?.[name],
    answer,
  )
  const isThere = now !== undefined && now !== null
  return printable(isThere && !isAs(now, wanted) ? `${line} (the service has ${JSON.stringify(now)})` : line)
}

/** An object that is wanted empty is there, whatever is in it. */
function isAs(now: unknown, wanted: unknown): boolean {
  if (isDeepStrictEqual(now, wanted)) return true
  return isDeepStrictEqual(wanted, {}) && typeof now === 'object'
}
