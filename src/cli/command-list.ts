/**
 * The commands by name: how each is written and what it does. Layer: cli.
 *
 * Invariant: loads nothing; `commands.ts` has a module for each, or does not compile.
 */

export const commandList = {
  unmount: { usage: 'unmount DIR', help: 'uploads what is waiting, then unmounts' },
  sync: {
    usage: 'sync DIR [PATH]',
    help: 'returns when the service has everything, or everything below PATH',
  },
  status: { usage: 'status DIR', help: 'what is waiting, uploading or refused' },
  recover: {
    usage: 'recover [AGENT/SESSION]',
    help: 'uploads what a dead mount left behind, without mounting',
  },
  emulator: { usage: 'emulator', help: 'serves the REST surface of the service from a local directory' },
  help: { usage: 'help [COMMAND]', help: 'how to use a command' },
} as const satisfies Readonly<Record<string, { readonly usage: string; readonly help: string }>>

export type CommandName = keyof typeof commandList

export function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commandList, word)
}
