/**
 * The daemon is killed before and after each call to the service, and at what is between it and the journal,
 * recovery among them; the next mount goes on, and is killed at the next point.
 */
import t from 'tap'
import { failpointNames } from '../../src/write-back/disk/failpoints.ts'
import { MortalMount } from './rig.ts'
import { killAtEach } from './rounds.ts'

const points = failpointNames.filter((name) => !name.startsWith('journal.'))
const isForDirectories = (name: string): boolean => name.startsWith('remote.makeDirectory')

void t.test('killed at any call to the service, it loses nothing that was answered', async (t) => {
  // most come more than once; a later time is in the middle of things
  const later = ['remote.upload.before:7', 'remote.upload.after:7']
  const kills = [...points.filter((name) => !isForDirectories(name)), ...later]
  await killAtEach(t, await MortalMount.start(t), kills)
})

void t.test('the same where the service can make directories', async (t) => {
  await killAtEach(t, await MortalMount.start(t, { extras: true }), points.filter(isForDirectories))
})
