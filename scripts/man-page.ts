/**
 * The man page mount-session(1), from the tables of commands and options: `node scripts/man-page.ts`. The build puts
 * it into dist/, from where npm links it.
 *
 * Invariant: says nothing that the tables do not, but what a man page needs around them.
 */
import { readFileSync } from 'node:fs'
import { commandRows } from '../src/cli/table/command-list.ts'
import type { CommandRow } from '../src/cli/table/command-row.ts'
import { type OptionRow, optionRows, options } from '../src/options/table.ts'

/** Text for roff: backslashes and hyphens as they are, no line taken for a request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '\\&...')
    .replaceAll('–', '\\(en')
    .replaceAll(/^(?=[.'])/gm, '\\&')
}

/** Placeholders such as DIR and AGENT/SESSION in italics, the rest bold: how man pages write a command. */
function synopsis(usage: string): string {
  const words = usage
    .split(' ')
    .map((word) => (/[A-Z]{2}/.test(word) ? `\\fI${roff(word)}\\fP` : `\\fB${roff(word)}\\fP`))
  return words.join(' ')
}

function paragraph(term: string, text: string): string[] {
  return ['.TP', term, roff(text)]
}

function flagTerm(flag: string, short: string | undefined, argument: string | undefined): string {
  const names = [...(short === undefined ? [] : [`\\fB\\-${short}\\fP`]), `\\fB\\-\\-${roff(flag)}\\fP`].join(
    ', ',
  )
  return argument === undefined ? names : `${names} \\fI${roff(argument)}\\fP`
}

function withNotes({ help, env, default: value }: OptionRow): string {
  const notes = [
    ...(env === undefined ? [] : [`environment: ${env.join(', ')}`]),
    ...((value ?? '') === '' ? [] : [`default: ${value}`]),
  ]
  return notes.length === 0 ? help : `${help} (${notes.join('; ')})`
}

function command(name: string, row: CommandRow): string[] {
  const taken = row.takes.flatMap((option) => {
    const { flag }: OptionRow = options[option]
    return flag === undefined ? [] : [`--${flag}`]
  })
  const also = taken.length === 0 ? [] : [roff(`Also, as when mounting: ${taken.join(', ')}.`)]
  return [
    `.SS "${roff(name)}"`,
    synopsis(`mount-session ${row.usage}`),
    '.PP',
    roff(row.description),
    ...row.arguments.flatMap(({ name: argument, help }) => paragraph(`\\fI${roff(argument)}\\fP`, help)),
    ...Object.values(row.options).flatMap(({ flag, short, argument, help }) =>
      paragraph(flagTerm(flag, short, argument), help),
    ),
    ...(also.length === 0 ? [] : ['.PP', ...also]),
    ...row.examples.flatMap(({ line, help }) => [
      '.PP',
      roff(help.replace(/^./, (letter) => letter.toUpperCase())) + ':',
      '.PP',
      '.RS 4',
      '.nf',
      roff(line),
      '.fi',
      '.RE',
    ]),
  ]
}

function optionsOf(wanted: (row: OptionRow) => boolean, term: (row: OptionRow) => string): string[] {
  return optionRows
    .filter(([, row]) => wanted(row))
    .flatMap(([, row]) => paragraph(term(row), withNotes(row)))
}

const groups = [...new Set(optionRows.map(([, { group }]) => group))]

/** The whole page. */
export function manPage(version: string): string {
  const lines = [
    `.TH MOUNT\\-SESSION 1 "" "mount\\-session ${version}" "User Commands"`,
    ...['.SH NAME', 'mount\\-session \\- the sandbox of a hosted\\-agent session as a directory'],
    ...['.SH SYNOPSIS', synopsis('mount-session [OPTIONS] AGENT/SESSION[:PATH] DIR')],
    ...['.br', synopsis('mount-session [OPTIONS] AGENT/ DIR')],
    ...commandRows.flatMap(([, row]) => ['.br', synopsis(`mount-session ${row.usage}`)]),
    '.SH DESCRIPTION',
    roff(
      'Mounts the files of a Microsoft Foundry hosted-agent session at DIR, an empty directory, and returns when the ' +
        "mount answers; it goes on in the background until it is unmounted. The agent's console is DIR/.logs, the state of " +
        'the mount DIR/.status. A write that was answered is on the local disk until the service has confirmed it; fsync(2) ' +
        'returns when the service has the file.',
    ),
    '.PP',
    roff(
      'AGENT/SESSION:PATH mounts one directory of the session. AGENT/ mounts all sessions of the agent: each is a ' +
        'directory in DIR, with its own .logs and .status; -o status=active shows those in that status alone.',
    ),
    '.PP',
    roff('The commands below work on a mount, or without any on the service.'),
    '.SH OPTIONS',
    roff('Those of mounting; commands take the ones that they name.'),
    ...groups.flatMap((group) => {
      const rows = optionsOf(
        (row) => row.group === group && row.flag !== undefined,
        ({ flag = '', short, argument }) => flagTerm(flag, short, argument),
      )
      return rows.length === 0 ? [] : [`.SS ${group}`, ...rows]
    }),
    '.SS "Mount options"',
    roff('After -o, comma-separated; any option above as well, without its dashes.'),
    ...optionsOf(
      ({ flag, mountOption }) => flag === undefined && mountOption !== undefined,
      ({ mountOption = '', argument }) =>
        argument === undefined
          ? `\\fB${roff(mountOption)}\\fP`
          : `\\fB${roff(mountOption)}\\fP=\\fI${roff(argument)}\\fP`,
    ),
    '.PP',
    roff(
      'Times: 2s, 500ms, 5m (seconds without a unit). Sizes: 64M, 1G (bytes without a unit, units of 1024).',
    ),
    '.SH COMMANDS',
    ...commandRows.flatMap(([name, row]) => command(name, row)),
    '.SH ENVIRONMENT',
    ...optionRows.flatMap(([, { env = [], help }]) =>
      env.length === 0 ? [] : paragraph(`\\fB${roff(env.join(', '))}\\fP`, help),
    ),
    ...paragraph('\\fBNODE_EXTRA_CA_CERTS\\fP', 'certificates to trust besides those of the machine'),
    ...paragraph(
      '\\fBXDG_STATE_HOME, XDG_CACHE_HOME\\fP',
      'where what is not uploaded yet, and what was downloaded, lies',
    ),
    '.SH FILES',
    ...paragraph(
      '\\fI~/.local/state/mount\\-session\\fP',
      'journals, what is not uploaded yet, logs of mounts',
    ),
    ...paragraph(
      '\\fI~/.cache/mount\\-session\\fP',
      'downloaded content; may be removed while nothing is mounted',
    ),
    '.SH "EXIT STATUS"',
    ...paragraph('0', 'done'),
    ...paragraph('1', 'failed, with one line on the standard error that says what, and what to do'),
    ...paragraph('2', 'the command line cannot be meant'),
    '.SH "SEE ALSO"',
    '.BR mount (8),',
    '.BR fusermount3 (1),',
    '.BR fstab (5)',
  ]
  return `${lines.join('\n')}\n`
}

if (process.argv[1] === import.meta.filename) {
  const file = new URL('../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  process.stdout.write(manPage(version))
}
