/**
 * Who waits for the service when one daemon hands the mount over to the next: the next one answers. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describe } from '../mount/rig.ts'
import { fileTimeout, mountOutliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

void t.test(
  'a listing and a name that are waited for are answered after a restart',
  { timeout },
  async (t) => {
    const mounted = await mountOutliving(t)
    for (const name of ['listed', 'looked-into']) {
      fs.mkdirSync(join(mounted.emulator.home, name))
      fs.writeFileSync(join(mounted.emulator.home, name, 'file'), 'text')
    }
    await mounted.ok('until test -d listed && test -d looked-into; do sleep 0.05; done')
    const hold = mounted.emulator.hold({ verb: 'list' })
    const programs = ['ls listed', 'cat looked-into/file'].map((script) => mounted.startSh(script))
    await hold.reached
    const restarted = await mounted.command(['restart', mounted.directory])
    t.equal(restarted.code, 0, describe(restarted))
    hold.release()
    const [listed, read] = await Promise.all(programs.map(({ ended }) => ended))
    t.match(listed, { code: 0, stdout: 'file\n', stderr: '' })
    t.match(read, { code: 0, stdout: 'text', stderr: '' })
  },
)
