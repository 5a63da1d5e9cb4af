/**
 * `mount-session completion bash|zsh|fish`. Layer: cli.
 *
 * Invariant: prints a script that asks `mount-session complete`, so that it never has to be printed again for a new version.
 */
import { readCommand } from '../command-line.ts'
import { UsageError } from '../usage-error.ts'
import { bashScript } from './bash.ts'
import { fishScript } from './fish.ts'
import { zshScript } from './zsh.ts'

const scripts: Readonly<Record<string, string>> = { bash: bashScript, fish: fishScript, zsh: zshScript }

export function run(argv: readonly string[]): Promise<number> {
  const {
    words: [shell = ''],
  } = readCommand('completion', argv)
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined)
    throw new UsageError(`there are completions for bash, zsh and fish, not for "${shell}"`, 'completion')
  process.stdout.write(script)
  return Promise.resolve(0)
}
