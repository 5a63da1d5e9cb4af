/**
 * The tables of copying.md, row by row, by the commands.
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mountSessionCommand } from '../cli/command.ts'
import { startTestEmulator } from '../emulator-server.ts'

const root = join(import.meta.dirname, '..', '..')

/** Every file of a tree by its path, with its content. */
function contents(directory: string): Map<string, string> {
  const files = fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path.slice(directory.length + 1), fs.readFileSync(path, 'utf8')]
    }),
  )
}

/** What the tables take for granted; `side` tells the files of either one. */
function lay(directory: string, side: string): void {
  fs.rmSync(directory, { recursive: true, force: true })
  for (const made of ['d/sub', 'existing']) fs.mkdirSync(join(directory, made), { recursive: true })
  for (const name of ['d/f', 'd/sub/g', 'file', 'old'])
    fs.writeFileSync(join(directory, name), `${name} of ${side}`)
}

const rows = fs
  .readFileSync(join(root, 'src/transfer/copying.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, command = '', result = ''] = /^\| `((?:get|put) [^`]+)` \| `([^`]+)` \|/.exec(line) ?? []
    return command === '' ? [] : [{ command, result }]
  })

void t.test('each row of copying.md is what the command does', async (t) => {
  const emulator = await startTestEmulator(t)
  const work = fs.mkdtempSync(join(tmpdir(), 'mount-session-copying-'))
  t.teardown(() => fs.rmSync(work, { recursive: true }))
  const local = join(work, 'local')
  const env = {
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  t.equal(rows.length, 47)
  for (const { command, result } of rows) {
    lay(local, 'here')
    lay(emulator.home, 'there')
    const changed = command.startsWith('get') ? local : emulator.home
    const [before, other] = [contents(changed), contents(changed === local ? emulator.home : local)]
    const words = command.split(' ').map((word) => word.replace(/^R:/, `${emulator.target}:`))
    const { code, stderr } = await mountSessionCommand(work, words, env, local)
    const isWhole = !result.includes('✗')
    t.equal(code, isWhole ? 0 : 1, `${command}: ${stderr}`)
    t.match(stderr, isWhole ? /^$/ : /^mount-session: /, command)
    const after = contents(changed)
    const come = [...after].filter(([path, content]) => before.get(path) !== content).map(([path]) => path)
    t.strictSame(
      come.toSorted(),
      result
        .split(' ')
        .filter((word) => word !== '✗')
        .toSorted(),
      command,
    )
    t.strictSame(
      [...before.keys()].filter((path) => !after.has(path)),
      [],
      'nothing is lost',
    )
    t.strictSame(contents(changed === local ? emulator.home : local), other, 'the source stays')
  }
})
