import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const program = fileURLToPath(new URL('fake-main.ts', import.meta.url))

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<{ code: number | null; stderr: string }>
  /** Resolves when stderr holds the text. */
  readonly says: (text: string) => Promise<void>
}

function start(...args: readonly string[]): Running {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'inherit', 'pipe'] })
  let stderr = ''
  let onText = (): void => undefined
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    onText()
  })
  return {
    child,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stderr })),
    says: (text) =>
      new Promise((resolve) => {
        onText = () => {
          if (stderr.includes(text)) {
            resolve()
          }
        }
        onText()
      }),
  }
}

/** Resolves when a file that another process writes holds the text. */
function fileSays(file: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    const watcher = watch(dirname(file), () => look())
    const look = (): void => {
      const content = existsSync(file) ? readFileSync(file, 'utf8') : ''
      if (content.includes(text)) {
        watcher.close()
        resolve(content)
      }
    }
    look()
  })
}

void t.test('the command returns when the daemon is ready, and holds nothing of it', async (t) => {
  const log = join(t.testdir(), 'state/mount.log')
  const { ended } = start('fine', log)
  t.same(await ended, { code: 0, stderr: '' })
  t.equal(statSync(log).mode & 0o777, 0o600)
  const serving = await fileSays(log, 'mounted a/s')
  const pid = Number(/serving as (\d+)/.exec(serving)?.[1])
  process.kill(pid, 'SIGTERM')
  const log2 = await fileSays(log, 'closed')
  t.match(log2, /draining\nunmounted\n/)
  t.match(log2, /"level":"info".*everything is uploaded/)
})

void t.test('what the daemon fails with is said by the command, and by the log', async (t) => {
  const log = join(t.testdir(), 'mount.log')
  t.same(await start('refuse', log).ended, { code: 1, stderr: 'mount-session: there is no session "s"\n' })
  t.match(readFileSync(log, 'utf8'), /there is no session/)
})

void t.test('a daemon that dies before it is ready is noticed', async (t) => {
  const log = join(t.testdir(), 'mount.log')
  const { code, stderr } = await start('crash', log).ended
  t.equal(code, 1)
  t.equal(stderr, `mount-session: the daemon ended before it was ready (exit code 7): see ${log}\n`)
})

void t.test('Ctrl-C while it starts reaches the daemon', async (t) => {
  const log = join(t.testdir(), 'mount.log')
  const { child, ended } = start('slow', log)
  await fileSays(log, 'starting')
  child.kill('SIGINT')
  t.match(await ended, { code: 1, stderr: /stopped by SIGINT/ })
})

void t.test('in the foreground a signal drains, unmounts and ends with 0', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const { child, ended, says } = start('fine', '-', '-f')
    await says('mounted a/s')
    child.kill(signal)
    t.match(await ended, { code: 0, stderr: /draining\nunmounted\n[^]*closed/ }, signal)
  }
})

void t.test('a second signal stops at once and names what is pending', async (t) => {
  const { child, ended, says } = start('hang', '-', '-f')
  await says('mounted a/s')
  child.kill('SIGINT')
  await says('draining')
  child.kill('SIGINT')
  const { code, stderr } = await ended
  t.equal(code, 1)
  t.match(stderr, /"left":\["a\/b"\],"msg":"stopped at once/)
  t.match(stderr, /detached\n/)
})

void t.test('a busy mount, and one with something left, say so and go on', async (t) => {
  for (const [mode, said] of [
    ['busy', '/mnt/s is busy'],
    ['left', 'still mounted: not everything could be uploaded'],
  ] as const) {
    const { child, ended, says } = start(mode, '-', '-f')
    await says('mounted a/s')
    child.kill('SIGTERM')
    await says(said)
    t.equal(child.exitCode, null, mode)
    child.kill('SIGTERM')
    t.match(await ended, { stderr: /detached\n/ })
  }
})
