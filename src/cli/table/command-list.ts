/**
 * The one table of commands, by name. Layer: cli.
 *
 * Invariant: loads nothing but data; `commands.ts` has a module for each row, or does not compile.
 */
import { clusterCommands } from './cluster-commands.ts'
import type { CommandRow } from './command-row.ts'
import { consoleCommands } from './console-commands.ts'
import { fileCommands } from './file-commands.ts'
import { mountCommands } from './mount-commands.ts'
import { sessionCommands } from './session-commands.ts'
import { toolCommands } from './tool-commands.ts'

export const commandList = {
  ...mountCommands,
  ...sessionCommands,
  ...fileCommands,
  ...consoleCommands,
  ...clusterCommands,
  ...toolCommands,
} as const

export type CommandName = keyof typeof commandList

export const commandRows = Object.entries(commandList) as readonly (readonly [CommandName, CommandRow])[]

/** First words of names that have two: `session` of `session create`. */
const groups: ReadonlySet<string> = new Set(
  Object.keys(commandList).flatMap((name) => (name.includes(' ') ? name.slice(0, name.indexOf(' ')) : [])),
)

export function isGroup(word: string): boolean {
  return groups.has(word)
}

/** The names of a group, in the order of the table. */
export function commandsOf(group: string): readonly CommandName[] {
  return commandRows.map(([name]) => name).filter((name) => name.startsWith(`${group} `))
}

export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commandList, name)
}
