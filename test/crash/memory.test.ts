/**
 * What a daemon needs while 2,000 files of 1 MB wait for a service that does not answer. `CRASH_FILES` chooses
 * another number; without it a short form of 300 runs.
 */
import * as fs from 'node:fs'
import t from 'tap'
import { MortalMount } from './rig.ts'

const files = Number(process.env['CRASH_FILES'] ?? 300)
const limitBytes = 250 * 1024 * 1024

void t.test(`${files} files of 1 MB that wait cost no memory to speak of`, async (t) => {
  const mount = await MortalMount.start(t)
  const hold = mount.emulator.hold({ verb: 'upload' })
  await mount.mount()
  const script = `cd ${mount.directory} && for i in $(seq ${files}); do head -c 1048576 /dev/zero > f$i; done`
  const written = await mount.work.start('bash', ['-c', script], { limitMs: 400_000 }).ended
  t.match(written, { code: 0 })
  await hold.reached
  const status = fs.readFileSync(`/proc/${mount.pid}/status`, 'utf8')
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  const now = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  t.comment(`resident: ${(now / 1e6).toFixed(0)} MB, at most ${(peak / 1e6).toFixed(0)} MB`)
  t.ok(peak < limitBytes)
})
