/**
 * The command of a command line, and its module. Layer: cli.
 *
 * Invariant: a command's module is loaded only when it is run; the first words decide, and mounting is what
 * remains (AGENT/SESSION has a slash in it, no command has).
 */
import { isCommand, isGroup, type CommandName } from './table/command-list.ts'

/** What a command's module exports as `run`. Resolves with the exit code; throws errors made for the user. */
export type RunCommand = (argv: readonly string[]) => Promise<number>

type Load = () => Promise<{ readonly run: RunCommand }>

const mount: Load = () => import('./mount.ts')

const modules: Readonly<Record<CommandName, Load>> = {
  ls: () => import('./files/ls.ts'),
  get: () => import('./files/get.ts'),
  put: () => import('./files/put.ts'),
  rm: () => import('./files/rm.ts'),
  unmount: () => import('./unmount.ts'),
  sync: () => import('./sync.ts'),
  status: () => import('./status.ts'),
  list: () => import('./list.ts'),
  restart: () => import('./restart.ts'),
  recover: () => import('./recover.ts'),
  'session create': () => import('./sessions/create.ts'),
  'session list': () => import('./sessions/list.ts'),
  'session show': () => import('./sessions/show.ts'),
  'session stop': () => import('./sessions/stop.ts'),
  'session delete': () => import('./sessions/delete.ts'),
  'agent patch': () => import('./agent-patch.ts'),
  csi: () => import('./csi.ts'),
  emulator: () => import('./emulator.ts'),
  logs: () => import('./logs.ts'),
  doctor: () => import('./doctor/doctor.ts'),
  completion: () => import('./completion/print.ts'),
  help: () => Promise.resolve({ run: help }),
}

/** Runs what the whole command line asks for. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const [first = '', second = '', ...rest] = argv
  if (isCommand(first)) {
    return (await modules[first]()).run(argv.slice(1))
  }
  /* not for people: the scripts of `completion` ask it */
  if (first === 'complete') {
    return (await import('./completion/complete.ts')).run(argv.slice(1))
  }
  /* nor this: the driver of `csi` starts it */
  if (first === 'csi-volume') {
    return (await import('./csi-volume.ts')).run(argv.slice(1))
  }
  if (isGroup(first)) {
    const name = `${first} ${second}`
    if (isCommand(name)) return (await modules[name]()).run(rest)
    return (await import('./group.ts')).run(first, second)
  }
  if (first !== '' && !first.startsWith('-') && !first.includes('/')) {
    const { UsageError } = await import('./usage-error.ts')
    throw new UsageError(`"${first}" is neither a command nor of the form AGENT/SESSION or AGENT/`)
  }
  return (await mount()).run(argv)
}

/** `mount-session help [COMMAND]`: the same text as `mount-session [COMMAND] --help`. */
async function help(words: readonly string[]): Promise<number> {
  const [first = 'help'] = words
  if (first === 'help' || first.startsWith('-')) {
    return (await mount()).run(['--help'])
  }
  const name = words.slice(0, isGroup(first) ? 2 : 1).join(' ')
  if (isCommand(name)) {
    return (await modules[name]()).run(['--help'])
  }
  if (isGroup(first)) {
    return (await import('./group.ts')).run(first, words[1] ?? '--help')
  }
  const { UsageError } = await import('./usage-error.ts')
  throw new UsageError(`there is no command "${name}"`)
}
