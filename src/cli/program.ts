/**
 * The command line: finds the command and turns its end into an exit code. Layer: cli.
 *
 * Invariant: loads nothing that the command does not need, and ends with 0, with 1 and one line that says
 * what and what to do, or with 2 for a command line that cannot be meant.
 */
import { readFileSync } from 'node:fs'
import { runCommand } from './commands.ts'
import { keepCompiled } from './compile-cache.ts'

/* Reads of the kernel's device, name look-ups and file I/O share libuv's pool. libuv reads this when the pool
   is first used, which nothing has done yet here. */
process.env['UV_THREADPOOL_SIZE'] ??= '16'

async function main(argv: readonly string[]): Promise<number> {
  const [first] = argv
  if (first === '--version' || first === '-V') {
    process.stdout.write(`${readVersion()}\n`)
    return 0
  }
  try {
    return await runCommand(argv)
  } catch (error) {
    const { reportError } = await import('./report-error.ts')
    return reportError(error)
  }
}

function readVersion(): string {
  /* as far above `src/cli` as above `dist/cli` */
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

/* `mount-session status DIR | head` may close our output before we are done */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  process.stderr.write(`mount-session: the output could not be written: ${error.message}\n`)
  process.exit(1)
})

/* the program's timers do not keep the process alive (see clock.ts); a command that is not done does */
const notDone = setInterval(() => undefined, 2 ** 30)
keepCompiled()
process.exitCode = await main(process.argv.slice(2))
clearInterval(notDone)
