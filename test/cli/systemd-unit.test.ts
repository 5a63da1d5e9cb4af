/** The unit for systemd: that systemd understands all of it, and that what it runs does what its comments say. */
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Ended, start } from '../mount/programs.ts'
import { isMounted, main, mountEmulator, type MountedEmulator } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'

const unit = join(import.meta.dirname, '../../scripts/systemd/mount-session@.service')
const text = fs.readFileSync(unit, 'utf8')

/* with `ExitType=` */
const oldestSystemd = 250

function needsSystemd(): { readonly skip?: string } {
  const missing = needs('systemd-analyze', 'systemd')
  if (missing.skip !== undefined) return missing
  const version = Number(
    /^systemd (\d+)/.exec(execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }))?.[1],
  )
  return version < oldestSystemd ? { skip: `systemd ${oldestSystemd} is needed, this is ${version}` } : {}
}

void t.test(
  'systemd knows every line of the unit, for a session and for any other instance',
  needsSystemd(),
  (t) => {
    const directory = fs.mkdtempSync(join(tmpdir(), 'mount-session-unit-'))
    t.teardown(() => fs.rmSync(directory, { recursive: true }))
    const instance = join(directory, 'mount-session@agent-session\\x2d0001.service')
    fs.writeFileSync(instance, text)
    for (const file of [unit, instance]) {
      const { status, stderr } = spawnSync('systemd-analyze', ['--user', '--man=no', 'verify', file], {
        env: { PATH: process.env['PATH'], HOME: directory, XDG_RUNTIME_DIR: directory },
        encoding: 'utf8',
      })
      /* other units of this machine are looked at, too */
      const ours = stderr.split('\n').filter((line) => line.includes('mount-session@'))
      t.strictSame({ status, ours }, { status: 0, ours: [] })
    }
    t.end()
  },
)

/** Runs a line of the unit as systemd would, for this mount. */
function runs(mounted: MountedEmulator, name: string): Promise<Ended> {
  const line = new RegExp(`^${name}=-?(.*)$`, 'm').exec(text)?.[1] ?? ''
  const said = line.replaceAll('%h/sessions/%I', mounted.mountedAt).replaceAll('$$', '$')
  const programs = join(mounted.root, 'programs')
  fs.mkdirSync(programs, { recursive: true })
  fs.writeFileSync(join(programs, 'mount-session'), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`, {
    mode: 0o755,
  })
  const env = { ...mounted.env, PATH: `${programs}:${process.env['PATH'] ?? ''}` }
  return start('sh', ['-c', said], { env }).ended
}

void t.test('to stop uploads what waits and unmounts; with nothing mounted it is no failure', async (t) => {
  const mounted = await mountEmulator(t)
  await mounted.ok('echo text > file')
  t.match(await runs(mounted, 'ExecStop'), { code: 0, stdout: '', stderr: '' })
  t.equal(fs.readFileSync(join(mounted.emulator.home, 'file'), 'utf8'), 'text\n')
  t.notOk(isMounted(mounted.mountedAt))
  t.match(await runs(mounted, 'ExecStop'), { code: 0, stdout: '', stderr: '' })
  t.match(await runs(mounted, 'ExecStopPost'), { stdout: '', stderr: '' })
})

void t.test('to stop does not wait for who uses the mount, and says who it is', async (t) => {
  const mounted = await mountEmulator(t)
  const user = mounted.startSh('echo text > file; echo inside; exec sleep 1000')
  await user.until((said) => said.includes('inside'))
  t.match(await runs(mounted, 'ExecStop'), { code: 0, stderr: /is busy: sleep/ })
  t.notOk(isMounted(mounted.mountedAt))
  t.equal(fs.readFileSync(join(mounted.emulator.home, 'file'), 'utf8'), 'text\n')
})

void t.test('a dead mount that is left is detached', async (t) => {
  const mounted = await mountEmulator(t)
  process.kill(mounted.pid, 'SIGKILL')
  await mounted.startSh('until ! ls; do :; done').ended
  t.match(await runs(mounted, 'ExecStop'), { code: 0 })
  t.match(await runs(mounted, 'ExecStopPost'), { code: 0, stdout: '', stderr: '' })
  t.notOk(isMounted(mounted.mountedAt))
})
