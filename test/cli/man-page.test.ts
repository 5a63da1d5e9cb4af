/**
 * The man page: without a warning of man(1), and nothing of the tables is missing.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { manPage } from '../../scripts/man-page.ts'
import { commandRows } from '../../src/cli/table/command-list.ts'
import { optionRows } from '../../src/options/table.ts'
import { needs } from '../programs/installed.ts'

void t.test(
  'man shows it without a warning, with every command and option',
  needs('man', 'man-db'),
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'mount-session-man-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const file = join(directory, 'mount-session.1')
    writeFileSync(file, manPage('1.2.3'))
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '200', MANPAGER: 'cat' }
    const { stdout, stderr } = await promisify(execFile)('man', ['--warnings', '-l', file], { env })
    t.equal(stderr, '')
    /* man makes bold by going back and writing again where it has no colours, and wraps between words */
    const shown = stdout.replaceAll(/.\u0008/g, '').replaceAll(/\s+/g, ' ')
    for (const [, { usage, options, examples }] of commandRows) {
      t.ok(shown.includes(`mount-session ${usage.replaceAll('…', '...')}`), usage)
      for (const { flag } of Object.values(options)) t.ok(shown.includes(`--${flag}`), flag)
      for (const { line } of examples) t.ok(shown.includes(line), line)
    }
    for (const [name, { flag, mountOption, env: variables = [] }] of optionRows) {
      const words = [flag === undefined ? mountOption : `--${flag}`, ...variables].filter(
        (word) => word !== undefined,
      )
      t.not(words.length, 0, name)
      for (const word of words) t.ok(shown.includes(word), word)
    }
  },
)
