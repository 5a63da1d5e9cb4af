/**
 * The command about the console of a session. Layer: cli.
 *
 * Invariant: data only.
 */
import { count, duration, oneOf, OptionValueError } from '../../options/values.ts'
import { serviceOptions, type CommandRow } from './command-row.ts'

/** So many lines the service has, whoever asks. */
export const mostReplayed = 300

/** `10m` or a point in time: Unix milliseconds, counted back from now. */
function pointInTime(text: string): (nowMs: number) => number {
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    /* a day alone would be one of UTC, while a time without a zone is of this machine */
    const at = Date.parse(text.length === 10 ? `${text}T00:00` : text)
    if (!Number.isNaN(at)) return () => at
  }
  try {
    const ago = duration(text)
    return (nowMs) => nowMs - ago
  } catch {
    throw new OptionValueError(
      `"${text}" is neither a time ago, such as 10m, nor a time such as 2026-11-22T14:28:38Z`,
    )
  }
}

const streams = ['stdout', 'stderr', 'status'] as const

function streamList(text: string): readonly (typeof streams)[number][] {
  return text.split(',').map(oneOf(...streams))
}

export const consoleCommands = {
  logs: {
    usage: 'logs AGENT/SESSION',
    help: 'the console of a session, without a mount',
    description:
      `Prints what the service has of the console of a session, its last ${mostReplayed} lines at most, and with --follow what comes, ` +
      'until Ctrl-C. It connects again by itself, and no line is lost or doubled over that. Needs no mount; where there is one, it is a second ' +
      'connection beside that of .logs. --format raw is what the service sends, as in .logs, a line each; text is time (of this machine), ' +
      'stream and message of what is JSON of that form, and other lines as they are; json is one object a line: timestamp, stream, message; ' +
      'null is what a line does not say. The default is text on a terminal, raw elsewhere. With --since a line that does not say its time is ' +
      'left out until a newer one was shown; such a line counts as stdout.',
    arguments: [{ name: 'AGENT/SESSION', help: 'the session', completes: 'session' }],
    options: {
      follow: { flag: 'follow', short: 'f', help: 'go on with what comes' },
      tail: {
        flag: 'tail',
        short: 'n',
        argument: 'N',
        help: `only the last N of the lines that there are and that are wanted; more than ${mostReplayed} the service does not have, 0: only what comes`,
        parse: count(0),
      },
      since: {
        flag: 'since',
        argument: 'TIME',
        help: 'only what is newer: 10m, 2h, or a time such as 2026-11-22T14:28:38Z',
        parse: pointInTime,
      },
      format: {
        flag: 'format',
        argument: 'raw|text|json',
        help: 'how lines are printed',
        parse: oneOf('raw', 'text', 'json'),
        completes: ['raw', 'text', 'json'],
      },
      json: { flag: 'json', help: 'as --format json' },
      stream: {
        flag: 'stream',
        argument: 'NAME,…',
        help: 'only of these: stdout, stderr, status (what the service says of the connection)',
        parse: streamList,
        completes: streams,
      },
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session logs triage/demo-session', help: 'what there is' },
      { line: 'mount-session logs -f -n 20 triage/demo-session', help: 'the last 20 lines, and what comes' },
      {
        line: 'mount-session logs --since 1h --stream stderr --format json triage/demo-session',
        help: 'the errors of the last hour, for a program',
      },
    ],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
