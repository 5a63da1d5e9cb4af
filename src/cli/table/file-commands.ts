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

const copyOptions = {
  recursive: { flag: 'recursive', short: 'r', help: 'directories as well, with all that is in them' },
  exclude: {
    flag: 'exclude',
    argument: 'GLOB',
    many: true,
    help: 'leave out what this names, as a line of .gitignore from the root of what is copied; several times for several',
  },
  dryRun: { flag: 'dry-run', help: 'say what would be copied; copy nothing' },
  quiet: { flag: 'quiet', short: 'q', help: 'no progress' },
  json: {
    flag: 'json',
    help: 'the result as JSON: {files, bytes, directories, dryRun, failures: [{path, error}]}',
  },
} as const

const asScp =
  'What goes where is what scp -r would do: into a directory that exists, else the copy has the name that is given; ' +
  'DIR/. is what is in DIR. Times and modes do not travel. What cannot be copied is told, the rest is copied, and the exit code is 1.'

export const fileCommands = {
  get: {
    usage: 'get [-r] AGENT/SESSION:PATH… [LOCAL|-]',
    help: 'copies files and trees from a session to this machine, without a mount',
    description:
      'Copies files of a session, and with -r directories, to LOCAL (default: the working directory), or one file to the ' +
      `standard output (-). Many at once, each beside its name until it is whole and as long as the service says. ${asScp} ${throughTheMount}`,
    arguments: [
      { name: 'AGENT/SESSION:PATH…', help: 'what to copy; a colon alone is the home', completes: 'remote' },
      { name: '[LOCAL]', help: 'where to; - is the standard output', completes: 'file' },
    ],
    options: copyOptions,
    takes: [...serviceOptions, 'downloads'],
    examples: [
      {
        line: 'mount-session get triage/demo-session:data/tickets.csv',
        help: 'one file, into the working directory',
      },
      { line: 'mount-session get -r triage/demo-session:output results', help: 'a tree' },
      { line: 'mount-session get triage/demo-session:README.md - | head -n 1', help: 'to another program' },
    ],
  },
  put: {
    usage: 'put [-r] LOCAL…|- AGENT/SESSION:PATH',
    help: 'copies files and trees from this machine to a session, without a mount',
    description:
      'Copies files, and with -r directories, to a session; the standard input (-) becomes one file. Many at once. Symbolic ' +
      'links are followed. All is looked at before anything is sent: with a file over the limit nothing is. The service ' +
      `makes the directories above a file. ${asScp} ${throughTheMount}`,
    arguments: [
      { name: 'LOCAL…', help: 'what to copy; - is the standard input', completes: 'file' },
      { name: 'AGENT/SESSION:PATH', help: 'where to; a colon alone is the home', completes: 'remote' },
    ],
    options: copyOptions,
    takes: [...serviceOptions, 'uploads', 'maxFileBytes'],
    examples: [
      { line: 'mount-session put -r inputs triage/demo-session:', help: 'a tree, into the home' },
      {
        line: "mount-session put -r --exclude '*.txt' inputs/. triage/demo-session:data",
        help: 'what is in a directory, but for some of it',
      },
      { line: 'date | mount-session put - triage/demo-session:started', help: 'from another program' },
    ],
  },
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
