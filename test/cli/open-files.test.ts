/** Who keeps a directory busy, and what they are called. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { occupants } from '../../src/cli/open-files.ts'

/** A program that has said something, so that it is itself and no more the one that it was started by. */
async function running(
  t: Test,
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<ChildProcess> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => {
    const ended = once(child, 'exit')
    if (child.kill('SIGKILL')) await ended
  })
  await once(child.stdout, 'data')
  return child
}

void t.test(
  'programs have the name that the kernel has for them, not what they call themselves',
  async (t) => {
    const directory = realpathSync(t.testdir({ below: {} }))
    const say = 'console.log("ready"); setInterval(() => undefined, 1000)'
    const node = await running(t, process.execPath, ['-e', say], join(directory, 'below'))
    const cat = await running(t, 'bash', ['-c', 'exec -a pretended cat /dev/zero'], directory)
    t.same(
      occupants(directory).toSorted((one, other) => one.command.localeCompare(other.command)),
      [
        { pid: cat.pid, command: 'cat', reason: 'working directory' },
        { pid: node.pid, command: 'node', reason: 'working directory' },
      ],
    )
    t.same(occupants(join(directory, 'none')), [])
  },
)

void t.test('an open file is named, and whoever has it', async (t) => {
  const directory = realpathSync(t.testdir({ file: 'text' }))
  const reader = await running(t, 'bash', ['-c', `exec 5< '${directory}/file'; exec cat /dev/zero`], '/')
  t.same(occupants(directory), [{ pid: reader.pid, command: 'cat', reason: join(directory, 'file') }])
})
