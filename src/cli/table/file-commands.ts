/**
 * The commands about the files of a session. Layer: cli.
 *
 * Invariant: data only.
 */
import { jsonOption, serviceOptions, type CommandRow } from './command-row.ts'

const throughTheMount =
  'Where the session is mounted on this machine by this user, its mount is used, and so what waits there is seen; what ' +
  'is not seen (of a daemon that was killed or does not answer) is said. A read-only mount, or one by another user or ' +
  'with another key, is not used.'

export const fileCommands = {
  ls: {
    usage: 'ls [-l] [-R] AGENT/SESSION[:PATH]',
    help: 'lists files of a session',
    description:
      'Lists a directory of a session, or one file; without PATH the home of the session. Names that begin with a dot ' +
      'are shown, directories end with a slash. A time is - where the service does not say it. --json is a list of ' +
      '{path, name, isDirectory, size, modified}, paths from the home, size in bytes (0 of a directory), modified in ' +
      `seconds of Unix or null. ${throughTheMount}`,
    arguments: [
      { name: 'AGENT/SESSION[:PATH]', help: 'the session, and what of it to list', completes: 'remote' },
    ],
    options: {
      long: { flag: 'long', short: 'l', help: 'kind, size and time as well' },
      recursive: { flag: 'recursive', short: 'R', help: 'all below as well' },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session ls triage/demo-session', help: 'what is in the home of the session' },
      { line: 'mount-session ls -l triage/demo-session:data', help: 'with sizes and times' },
      { line: 'mount-session ls -R --json triage/demo-session', help: 'the whole tree, for a program' },
    ],
  },
  rm: {
    usage: 'rm [-r] AGENT/SESSION:PATH…',
    help: 'deletes files of a session',
    description:
      'Deletes files of a session, and with -r directories with all that is in them. It asks once for all of them; ' +
      'without a terminal to ask at it needs --yes. What cannot be deleted is told, the rest is deleted, and the exit ' +
      'code is 1. The home of a session is never deleted itself. --json is a list of {target, isDirectory, deleted, ' +
      `error}. ${throughTheMount}`,
    arguments: [{ name: 'AGENT/SESSION:PATH…', help: 'what to delete', completes: 'remote' }],
    options: {
      recursive: { flag: 'recursive', short: 'r', help: 'directories as well, with all that is in them' },
      yes: { flag: 'yes', help: 'do not ask' },
      dryRun: {
        flag: 'dry-run',
        help: 'say what would be deleted, all below directories too; delete nothing',
      },
      json: jsonOption,
    },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session rm --yes triage/demo-session:README.md', help: 'one file, without a question' },
      {
        line: 'mount-session rm -r --dry-run triage/demo-session:data triage/demo-session:output',
        help: 'what would go with two directories',
      },
    ],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
