/**
 * Agents, sessions and remote paths for the completion of a word. Layer: cli.
 *
 * Invariant: never fails and never takes long: what is not known within the bound is not offered.
 */
import { systemClock } from '../../clock.ts'
import { listMounts } from '../../control/registry.ts'
import { silentLogger } from '../../log.ts'
import { showMounted } from '../../options/show-address.ts'
import { optionRows } from '../../options/table.ts'
import type { SessionClient } from '../../client/session-client.ts'
import { knownAgents, knownSessions } from '../../session/known-addresses.ts'
import { serviceOptionsOf } from '../service.ts'
import { dataDirectories, readValues } from '../session-arguments.ts'
import { commandRows } from '../table/command-list.ts'
import type { Candidate, Wanted } from './candidates.ts'

/* a shell waits for us with every key */
const patienceMs = 1500
const mostSessions = 100
const mostNames = 500

/** The names that `wanted` asks for and that begin with `word`; `flags` are the options that were typed before it. */
export async function namesFor(
  wanted: Wanted,
  word: string,
  flags: ReadonlyMap<string, string>,
): Promise<readonly Candidate[]> {
  try {
    switch (wanted) {
      case 'command':
        return commandRows.map(([name, { help }]) => ({ text: name, help }))
      case 'mount':
        return mounts()
      case 'agent':
        return agents('')
      case 'session':
        return await sessions(word, flags)
      case 'remote':
      case 'fileOrRemote':
        return word.includes(':')
          ? await remotePaths(word, flags)
          : (await sessions(word, flags)).map(withColon)
      case 'file':
      case 'directory':
      case 'nothing':
        return []
    }
  } catch {
    /* not signed in, no such agent, a slow link: nothing to offer */
    return []
  }
}

function mounts(): readonly Candidate[] {
  return listMounts(dataDirectories(process.env).stateRoot).map((record) => ({
    text: record.directory,
    help: showMounted(record),
  }))
}

/** Those of whom something is known on this machine: the service does not list agents. */
function agents(ending: string): readonly Candidate[] {
  const { stateRoot } = dataDirectories(process.env)
  const known = [...listMounts(stateRoot), ...knownSessions(stateRoot), ...knownAgents(stateRoot)]
  const names = known.map(({ agent }) => agent)
  return [...new Set(names)].map((agent) => ({ text: `${agent}${ending}`, help: 'agent' }))
}

async function sessions(word: string, flags: ReadonlyMap<string, string>): Promise<readonly Candidate[]> {
  const slash = word.indexOf('/')
  if (slash <= 0) return agents('/')
  const agent = word.slice(0, slash)
  return ask(flags, async (client, signal) => {
    const found: Candidate[] = []
    const pageSize = mostSessions
    for await (const { sessionId, status = '' } of client.listSessions(agent, {
      signal,
      pageSize,
      order: 'desc',
    })) {
      found.push({ text: `${agent}/${sessionId}`, help: status })
      if (found.length >= mostSessions) break
    }
    return found
  })
}

function withColon({ text, help }: Candidate): Candidate {
  return { text: text.endsWith('/') ? text : `${text}:`, help }
}

async function remotePaths(word: string, flags: ReadonlyMap<string, string>): Promise<readonly Candidate[]> {
  const colon = word.indexOf(':')
  const [agent = '', session = ''] = word.slice(0, colon).split('/')
  const directory = word.slice(colon + 1, Math.max(word.lastIndexOf('/'), colon) + 1)
  return ask(flags, async (client, signal) => {
    const found: Candidate[] = []
    const remote = directory
      .split('/')
      .filter((part) => part !== '')
      .join('/')
    for await (const { name, isDirectory } of client.listSessionFiles(agent, session, remote, { signal })) {
      found.push({
        text: `${agent}/${session}:${directory}${name}${isDirectory ? '/' : ''}`,
        help: isDirectory ? 'directory' : 'file',
      })
      if (found.length >= mostNames) break
    }
    return found
  })
}

/** One question to the service, without a second try. */
async function ask(
  flags: ReadonlyMap<string, string>,
  question: (client: SessionClient, signal: AbortSignal) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const given = optionRows.flatMap(([name, { flag }]) => {
    const value = flag === undefined ? undefined : flags.get(`--${flag}`)
    return value === undefined ? [] : [[name, value]]
  })
  const values = readValues(Object.fromEntries(given) as Record<string, unknown>, process.env)
  const { newClient } = await import('../../session/connect.ts')
  const client = newClient(serviceOptionsOf(values), { clock: systemClock, logger: silentLogger })
  try {
    return await question(client, AbortSignal.timeout(patienceMs))
  } finally {
    await client.close()
  }
}
