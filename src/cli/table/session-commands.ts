/**
 * The commands about the sessions of an agent, and about the agent itself. Layer: cli.
 *
 * Invariant: data only.
 */
import { count, OptionValueError, oneOf } from '../../options/values.ts'
import { jsonOption, serviceOptions, type CommandRow } from './command-row.ts'

/** As the service takes it from who makes a session. */
function sessionId(text: string): string {
  if (!/^[A-Za-z0-9_-]{8,128}$/.test(text))
    throw new OptionValueError(`"${text}" is not 8 to 128 of A-Z a-z 0-9 _ -`)
  return text
}

/** A concrete one: the service knows no aliases here. */
function agentVersion(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text))
    throw new OptionValueError(`"${text}" is not a version such as 2 (an alias as @latest is none)`)
  return text
}

const agent = { name: 'AGENT', help: 'the name of the agent', completes: 'agent' } as const

const sessions = {
  name: 'AGENT/SESSION…',
  help: 'the session, or several',
  completes: 'session',
} as const

const sessionFields =
  'agent, session, status, version, created, lastUsed, expires, stopped; null is what the service does not say'

export const sessionCommands = {
  'session create': {
    usage: 'session create AGENT',
    help: 'makes a session, and prints AGENT/SESSION',
    description:
      'Makes a session of AGENT and prints its AGENT/SESSION, which all other commands take. Asked for once only: where the end of the call is not known, it says how to see whether there is a session. --json prints one ' +
      `object: ${sessionFields}; with --mount also directory, null where mounting failed.`,
    arguments: [agent],
    options: {
      id: {
        flag: 'id',
        argument: 'ID',
        help: 'its name, 8 to 128 of A-Z a-z 0-9 _ - (default: the service chooses)',
        parse: sessionId,
      },
      agentVersion: {
        flag: 'agent-version',
        argument: 'V',
        help: 'the version of the agent that it runs, such as 2 (default: as the traffic rules of the agent say)',
        parse: agentVersion,
      },
      mount: {
        flag: 'mount',
        argument: 'DIR',
        help: 'mount it at DIR, an empty directory, in the background',
        completes: 'directory',
      },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session session create triage', help: 'a new session, with a name of the service' },
      {
        line: 'mount-session session create triage --id ticket-4711 --mount /mnt/s',
        help: 'with a name of your own, mounted at once',
      },
      {
        line: 'session=$(mount-session session create triage) && mount-session session show "$session"',
        help: 'in a script',
      },
    ],
  },
  'session list': {
    usage: 'session list AGENT',
    help: 'the sessions of an agent that you may see',
    description:
      'The sessions of AGENT that the service shows you: all of them, or so many as --limit says. AGE is the time since it was made, LAST USED since it was used; EXPIRES is the time until the service deletes it. --json prints an array of ' +
      `objects: ${sessionFields}.`,
    arguments: [agent],
    options: {
      limit: { flag: 'limit', argument: 'N', help: 'no more than N (default: all)', parse: count(1) },
      order: {
        flag: 'order',
        argument: 'asc|desc',
        help: 'by the time they were made, oldest or newest first (default: as the service has it)',
        parse: oneOf('asc', 'desc'),
        completes: ['asc', 'desc'],
      },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session session list triage', help: 'all' },
      { line: 'mount-session session list triage --limit 5 --order desc', help: 'the newest five' },
    ],
  },
  'session show': {
    usage: 'session show AGENT/SESSION…',
    help: 'status, version and times of a session, and where it is mounted here',
    description:
      'What the service says of each session, where it is mounted on this machine, and how many changes wait here for it. --json prints one object a session, each on a line: ' +
      `${sessionFields}, mounted (directories), waiting (changes that are on this machine only).`,
    arguments: [sessions],
    options: { json: jsonOption },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session session show triage/demo-session', help: 'as lines' },
      {
        line: 'mount-session session show triage/demo-session --json',
        help: 'for a program',
      },
    ],
  },
  'session stop': {
    usage: 'session stop AGENT/SESSION…',
    help: 'takes the compute of a session away, and keeps its files',
    description:
      'Takes the compute away and keeps the files: the next use wakes the session again, and so does a mount of it that is used. One that is stopped already is no error. --json prints one object a session, each on a line: agent, session, stopped (true), already (whether it was before).',
    arguments: [sessions],
    options: { json: jsonOption },
    takes: serviceOptions,
    examples: [{ line: 'mount-session session stop triage/demo-session', help: 'until it is used again' }],
  },
  'session delete': {
    usage: 'session delete AGENT/SESSION…',
    help: 'deletes a session with all its files, for ever',
    description:
      'Deletes sessions with all their files, for ever; asks before. Says as well where they are mounted on this machine, and what waits here for them. --json prints one object a session, each on a line: agent, session, deleted (true).',
    arguments: [sessions],
    options: {
      yes: { flag: 'yes', short: 'y', help: 'without asking' },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session session delete --yes triage/demo-session', help: 'at once, without asking' },
    ],
  },
  'agent patch': {
    usage: 'agent patch AGENT --file FILE',
    help: 'changes the endpoint or the card of an agent',
    description:
      'Changes the endpoint (traffic of versions, protocols, who may call) or the card of AGENT, by a JSON merge patch with the names of the service: what the file leaves out stays, null takes a member away, an array is replaced as a whole. The file is checked before anything is sent. Prints each path with its new value, or "removed", and what the service makes of it where that is another. --json prints one object: agent, sent (true, or false with --dry-run), changes (path, and value or removed), agentResource (the answer, null with --dry-run).',
    arguments: [agent],
    options: {
      file: {
        ...{ flag: 'file', short: 'f', argument: 'FILE', required: true },
        help: 'the patch, such as {"agent_card": {"description": "sorts tickets"}}; - is stdin',
        completes: 'file',
      },
      dryRun: { flag: 'dry-run', help: 'check it and show what would change; nothing is sent' },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session agent patch triage --file patch.json --dry-run', help: 'what would change' },
      { line: 'mount-session agent patch triage --file patch.json', help: 'change it' },
      {
        line: `echo '{"agent_endpoint": {"version_selector": null}}' | mount-session agent patch triage --file -`,
        help: 'without rules of traffic: the latest version gets all new sessions',
      },
    ],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
