/**
 * The commands, by name. Layer: cli.
 *
 * Invariant: a command's module is loaded only when it is run; the first word decides, and mounting is what
 * remains (AGENT/SESSION has a slash in it, no command has).
 */

/** What a command's module exports as `run`. Resolves with the exit code; throws errors made for the user. */
export type RunCommand = (argv: readonly string[]) => Promise<number>

interface CommandEntry {
  readonly usage: string
  readonly help: string
  readonly load: () => Promise<{ readonly run: RunCommand }>
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  unmount: {
    usage: 'unmount DIR',
    help: 'uploads what is waiting, then unmounts',
    load: () => import('./unmount.ts'),
  },
  sync: {
    usage: 'sync DIR [PATH]',
    help: 'returns when the service has everything, or everything below PATH',
    load: () => import('./sync.ts'),
  },
  status: {
    usage: 'status DIR',
    help: 'what is waiting, uploading or refused',
    load: () => import('./status.ts'),
  },
  recover: {
    usage: 'recover [AGENT/SESSION]',
    help: 'uploads what a dead mount left behind, without mounting',
    load: () => import('./recover.ts'),
  },
  emulator: {
    usage: 'emulator',
    help: 'serves the REST surface of the service from a local directory',
    load: () => import('./emulator.ts'),
  },
  help: { usage: 'help [COMMAND]', help: 'how to use a command', load: () => import('./help.ts') },
}

export const mount = { load: (): Promise<{ readonly run: RunCommand }> => import('./mount.ts') }
