/**
 * Downloads that hang keep nothing else from being answered.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually, killGroup } from './programs.ts'
import { mountEmulator, type MountedEmulator } from './rig.ts'

const stalled = 100

/** A mount on which a hundred programs read files of `slow/` whose downloads hang. */
async function withStalledReaders(t: Test, where: 'headers' | 'body'): Promise<MountedEmulator> {
  const mount = await mountEmulator(t)
  const { emulator } = mount
  fs.mkdirSync(join(emulator.home, 'slow'))
  fs.mkdirSync(join(emulator.home, 'quick'))
  for (let index = 0; index < stalled; index += 1)
    fs.writeFileSync(join(emulator.home, 'slow', String(index)), Buffer.alloc(200_000, index))
  fs.writeFileSync(join(emulator.home, 'quick', 'file'), 'quick content')
  emulator.fault({ verb: 'download', path: /(^|\/)slow\//, kind: 'stall', where })
  const readers = mount.startSh(
    `for index in $(seq 0 ${stalled - 1}); do cat slow/$index >/dev/null 2>&1 & done; wait`,
    { limitMs: 60_000 },
  )
  t.ok(await eventually(() => emulator.counts().download >= stalled), 'all of them were asked for')
  t.teardown(() => killGroup(readers.child))
  return mount
}

for (const where of ['headers', 'body'] as const) {
  void t.test(`a hundred downloads without ${where === 'headers' ? 'an answer' : 'an end'}`, async (t) => {
    const mount = await withStalledReaders(t, where)
    const limit = { limitMs: 10_000 }
    t.equal(await mount.ok('stat -c %s slow/7', limit), '200000\n', 'stat')
    t.equal(await mount.ok('ls slow | wc -l', limit), `${stalled}\n`, 'ls of their directory')
    t.equal(await mount.ok('cat quick/file', limit), 'quick content', 'another file is read')
    await mount.ok('echo new > quick/other', limit)
    await mount.ok('mv slow renamed', limit)
    t.equal(await mount.ok('ls renamed | wc -l; ls', limit), `${stalled}\nquick\nrenamed\n`, 'a rename')
    const interrupted = await mount.ok('timeout -s INT 1 cat renamed/3 || echo "ended with $?"', limit)
    t.equal(interrupted, 'ended with 124\n', 'Ctrl-C ends a reader')
  })
}
