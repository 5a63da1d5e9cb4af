/** What stands on the disk at each moment of a change is what a process that is killed then leaves. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { silentLogger } from '../../src/log.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { assembleOver } from '../assembly.ts'
import { listedFile, quiet, startRig, type Rig } from './rig.ts'

const big = 'x'.repeat(100_000)

/** Its upload was begun: what is written from now on goes to other bytes. */
async function begun(rig: Rig, path: string, text: string): Promise<void> {
  rig.files.fail({ verb: 'upload', error: 'throttled', times: 1000 })
  rig.write(path, text)
  for (let turn = 0; turn < 3; turn++) await rig.pass(1000)
}

const file = (changes: WriteBack, path: string) => {
  const entry = changes.get(path)
  if (entry?.kind !== 'file' || entry.content.from !== 'spool') throw new Error(`${path} is not in the spool`)
  return entry.content.copy
}

for (const [size, text] of [
  ['small', 'content'],
  ['big', big],
] as const)
  for (const [what, change] of Object.entries<(changes: WriteBack) => void>({
    'is written again': (changes) => file(changes, 'f').write(0, Buffer.from('new')),
    'is cut to a part, as one change': (changes) => changes.together(() => file(changes, 'f').truncate(3)),
    'is emptied': (changes) => file(changes, 'f').truncate(0),
    'is removed': (changes) => changes.removeFile('f', undefined),
    'is removed, as one change': (changes) => changes.together(() => changes.removeFile('f', undefined), 7),
    'is renamed': (changes) => changes.together(() => changes.renameFile('f', 'h', undefined, undefined), 7),
    'is renamed over': (changes) => changes.renameFile('g', 'f', undefined, undefined),
    'is renamed over by one that is on the service': (changes) =>
      changes.renameFile('r', 'f', listedFile('r', 6), undefined),
  }))
    void t.test(`killed at any moment while a ${size} file ${what}, nothing is set aside`, async (t) => {
      const snapshots = mkdtempSync(join(tmpdir(), 'snapshots-'))
      t.teardown(() => rmSync(snapshots, { recursive: true, force: true }))
      let isTaking = false
      const taken: string[] = []
      const take = (): void => {
        if (!isTaking) return
        const to = join(snapshots, String(taken.length))
        cpSync(rig.directory, to, { recursive: true, verbatimSymlinks: true })
        taken.push(to)
      }
      const rig = await startRig(t, { failpoint: take })
      rig.files.put('r', 'remote')
      await begun(rig, 'f', text)
      await begun(rig, 'g', `other ${text}`)
      isTaking = true
      change(rig.changes)
      take()
      isTaking = false
      t.ok(taken.length > 2, `${taken.length} moments`)
      for (const directory of taken) {
        const said: unknown[] = []
        const logger = { ...silentLogger, error: (fields: object) => said.push(fields) }
        const { files, clock } = rig
        const next = await assembleOver({ directory, files, clock, logger })
        await quiet()
        t.strictSame([next.changes.status().setAside, said], [[], []])
        await next.changes.close()
      }
    })
