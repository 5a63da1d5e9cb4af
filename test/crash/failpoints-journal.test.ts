/**
 * The daemon is killed before and after each transition of the journal while programs work on the mount, with
 * files open and mapped pages dirty; the next mount goes on, and is killed at the next point.
 */
import t from 'tap'
import { failpointNames } from '../../src/write-back/disk/failpoints.ts'
import { eventually } from '../mount/programs.ts'
import { MortalMount } from './rig.ts'
import { killAtEach } from './rounds.ts'

/** The one only after a power cut (`recover.test.ts`), the other only in a quiet moment: below. */
const elsewhere = /^journal\.(setAside|unseal)/
const points = failpointNames.filter((name) => name.startsWith('journal.') && !elsewhere.test(name))

void t.test('killed at any transition of the journal, it loses nothing that was answered', async (t) => {
  // most come more than once; a later time is in the middle of things
  const later = ['journal.change.after:7', 'journal.commit.after:7']
  await killAtEach(t, await MortalMount.start(t), [...points, ...later])
})

for (const failpoint of ['journal.unseal.before', 'journal.unseal.after']) {
  void t.test(`killed at ${failpoint}, when a closed file is written to again`, async (t) => {
    const mount = await MortalMount.start(t)
    const refuse = mount.emulator.fault({ verb: 'upload', kind: 'status', status: 401 })
    await mount.mount(failpoint)
    await mount.perform(t, [
      { do: 'create', path: 'first' },
      { do: 'close', path: 'first' },
    ])
    t.ok(await eventually(async () => (await mount.status()).service.state === 'paused'))
    await mount.perform(t, [
      { do: 'create', path: 'f' },
      { do: 'write', path: 'f', text: 'closed' },
      { do: 'close', path: 'f' },
    ])
    t.ok(await eventually(() => mount.isSealed('f')), 'length and checksum are written down')
    const more = mount.begin([{ do: 'write', path: 'f', text: ', and more' }])
    t.ok(await mount.died())
    await more.ended
    mount.take([{ do: 'write', path: 'f', text: ', and more' }], more)
    refuse()
    await mount.mount()
    mount.compare(t, (await mount.shown()) ?? {}, 'what the next mount shows')
    t.match(await mount.command(['sync', mount.directory]), { code: 0 })
    mount.compare(t, mount.served(), 'the service has it')
  })
}
