/**
 * What may come next on a command line that is being typed, by the tables alone. Layer: cli.
 *
 * Invariant: asks nobody: what only this machine or the service knows is named as a `Wanted`, for `names.ts`.
 */
import { optionRows, options, type OptionName, type OptionRow } from '../../options/table.ts'
import { commandList, commandRows, commandsOf, isCommand, isGroup } from '../table/command-list.ts'
import type { CommandRow, Completion, OwnOption } from '../table/command-row.ts'

export interface Candidate {
  /** What is put in place of the word. */
  readonly text: string
  /** What it is, for shells that show it. */
  readonly help: string
}

/** What has to be looked up: names, or paths, which the shell itself knows best. */
export type Wanted = Exclude<Completion, readonly string[]> | 'fileOrRemote' | 'nothing'

export interface Completions {
  readonly candidates: readonly Candidate[]
  readonly wanted: Wanted
  /** What of the word stands before the part that `wanted` is about: `--endpoint=`, else ''. */
  readonly before: string
  /** The words that were typed before, for what `wanted` depends on: options of the service. */
  readonly flags: ReadonlyMap<string, string>
}

interface Flag {
  readonly names: readonly string[]
  readonly help: string
  readonly argument: string | undefined
  readonly completes: Completion | undefined
}

const help: Flag = { names: ['--help', '-h'], help: 'show this', argument: undefined, completes: undefined }

/** Of the options of the table: what their value is. */
const tabled: Readonly<Partial<Record<OptionName, Completion>>> = {
  caFile: 'file',
  logFile: 'file',
  traceFile: 'file',
}

function wordsOf(argument: string | undefined): readonly string[] | undefined {
  return argument?.includes('|') === true ? argument.split('|') : undefined
}

function ownFlag({ flag, short, help: what, argument, completes }: OwnOption): Flag {
  const names = [`--${flag}`, ...(short === undefined ? [] : [`-${short}`])]
  return { names, help: what, argument, completes: completes ?? wordsOf(argument) }
}

function tabledFlag(name: OptionName): Flag[] {
  const { flag, short, help: what, argument }: OptionRow = options[name]
  if (flag === undefined) return []
  const names = [`--${flag}`, ...(short === undefined ? [] : [`-${short}`])]
  return [{ names, help: what, argument, completes: tabled[name] ?? wordsOf(argument) }]
}

const mountList: Flag = {
  names: ['-o'],
  help: 'mount options, comma-separated',
  argument: 'LIST',
  completes: optionRows.flatMap(([, { mountOption, flag, argument }]) => {
    const name = mountOption ?? flag
    return name === undefined ? [] : [argument === undefined ? name : `${name}=`]
  }),
}

/** What the words that are there make of the next one. `words` are those after the program's name; the last is being typed. */
export function completionsFor(words: readonly string[]): Completions {
  const [first = '', second = ''] = words
  if (words.length <= 1) return atFirst(first)
  if (isGroup(first)) {
    if (words.length === 2)
      return only(commandsOf(first).map((name) => described(name.slice(first.length + 1), name)))
    const name = `${first} ${second}`
    return isCommand(name) ? within(commandList[name], words.slice(2)) : only([])
  }
  return isCommand(first) ? within(commandList[first], words.slice(1)) : within(undefined, words)
}

function described(text: string, name: keyof typeof commandList): Candidate {
  return { text, help: commandList[name].help }
}

function only(candidates: readonly Candidate[]): Completions {
  return { candidates, wanted: 'nothing', before: '', flags: new Map() }
}

/** A command, or a session to mount, or an option of mounting. */
function atFirst(word: string): Completions {
  if (word.startsWith('-')) return within(undefined, [word])
  const seen = new Set<string>()
  const commands = commandRows.flatMap(([name, row]): Candidate[] => {
    const [start = name] = name.split(' ')
    if (seen.has(start)) return []
    seen.add(start)
    const isSingle = start === name
    return [{ text: start, help: isSingle ? row.help : commandsOf(start).join(', ') }]
  })
  return { ...only(commands), wanted: 'session' }
}

/** `row` is undefined for mounting. */
function within(row: CommandRow | undefined, words: readonly string[]): Completions {
  const flags = row === undefined ? flagsOfMount() : flagsOf(row)
  const byName = new Map(flags.flatMap((flag) => flag.names.map((name) => [name, flag] as const)))
  const given = new Map<string, string>()
  const current = words.at(-1) ?? ''
  let positional = 0
  let pending: { readonly name: string; readonly flag: Flag } | undefined
  let onlyWords = false
  for (const word of words.slice(0, -1)) {
    if (pending !== undefined) {
      given.set(pending.name, word)
      pending = undefined
    } else if (onlyWords || !word.startsWith('-') || word === '-') {
      positional += 1
    } else if (word === '--') {
      onlyWords = true
    } else {
      const equals = word.indexOf('=')
      const name = equals < 0 ? word : word.slice(0, equals)
      const flag = byName.get(name)
      if (equals >= 0) given.set(name, word.slice(equals + 1))
      else if (flag?.argument !== undefined) pending = { name: flag.names[0] ?? name, flag }
    }
  }
  if (pending !== undefined)
    return valueOf(pending.flag, pending.flag === mountList ? upToComma(current) : '', given)
  const equals = current.indexOf('=')
  if (!onlyWords && current.startsWith('--') && equals > 0) {
    const flag = byName.get(current.slice(0, equals))
    return flag === undefined ? only([]) : valueOf(flag, current.slice(0, equals + 1), given)
  }
  if (!onlyWords && current.startsWith('-') && current !== '-') {
    return only([...flags, help].flatMap((flag) => flag.names.map((text) => ({ text, help: flag.help }))))
  }
  const argument = argumentAt(row, positional)
  return argument === undefined ? only([]) : completing(argument, '', given)
}

function flagsOf(row: CommandRow): readonly Flag[] {
  return [...Object.values(row.options).map(ownFlag), ...row.takes.flatMap(tabledFlag)]
}

function flagsOfMount(): readonly Flag[] {
  return [...optionRows.flatMap(([name]) => tabledFlag(name)), mountList]
}

/** The last argument of a row goes on for ever where its name ends in `…`. */
function argumentAt(row: CommandRow | undefined, index: number): Completion | 'fileOrRemote' | undefined {
  if (row === undefined) return index === 0 ? 'session' : index === 1 ? 'directory' : undefined
  const repeated = row.arguments.findIndex(({ name }) => name.includes('…'))
  if (repeated < 0 || index <= repeated) return row.arguments[index]?.completes
  /* the last of them may be meant, or what comes after them */
  return repeated < row.arguments.length - 1 ? 'fileOrRemote' : row.arguments[repeated]?.completes
}

/** A list is completed part by part. */
function upToComma(word: string): string {
  return word.slice(0, word.lastIndexOf(',') + 1)
}

function valueOf(flag: Flag, before: string, flags: ReadonlyMap<string, string>): Completions {
  return flag.completes === undefined ? only([]) : completing(flag.completes, before, flags)
}

function completing(
  completes: Completion | 'fileOrRemote',
  before: string,
  flags: ReadonlyMap<string, string>,
): Completions {
  if (typeof completes === 'string') return { candidates: [], wanted: completes, before, flags }
  return { ...only(completes.map((word) => ({ text: `${before}${word}`, help: '' }))), flags }
}
