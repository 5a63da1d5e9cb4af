/**
 * The question before something that cannot be undone. Layer: cli.
 *
 * Invariant: nothing goes on without an explicit yes: a `y` at a terminal, or `--yes`.
 */
import { createInterface } from 'node:readline/promises'
import { CommandFailure } from './report-error.ts'

/** Resolves when it may go on; throws `CommandFailure` otherwise. `what` completes "… cannot be undone". */
export async function confirm(what: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandFailure(`${what} cannot be undone, and there is no terminal to ask at: give --yes`)
  }
  const asker = createInterface({ input: process.stdin, output: process.stderr })
  /* Ctrl-C and Ctrl-D close it, and would leave the question unanswered for ever */
  const closed = new AbortController()
  asker.once('close', () => closed.abort())
  try {
    const answer = await asker
      .question(`${what} cannot be undone. Go on? [y/N] `, { signal: closed.signal })
      .catch(() => {
        process.stderr.write('\n')
        return ''
      })
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('stopped')
  } finally {
    asker.close()
  }
}
