/**
 * A mount whose descriptor somebody else has opened and mounted, as a container's driver does.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mountKernel } from '../../src/fuse/kernel-mount.ts'
import { mountAt } from '../../src/fuse/mount-table.ts'
import { silentLogger } from '../../src/log.ts'
import { mountSession } from '../../src/mount/mount.ts'
import { defaultValues } from '../../src/options/table.ts'
import { agent, files, session, startTestEmulator } from '../emulator-server.ts'
import { run } from '../fuse/mounted.ts'

void t.test('a descriptor that is mounted already is served, and its place not looked at', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'descriptor-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const directory = join(root, 'mnt')
  mkdirSync(directory)
  const emulator = await startTestEmulator(t)
  const { endpoint, token } = emulator
  const { descriptor } = await mountKernel(directory, { source: 'by hand' })
  const address = { endpoint, token, agent, session, isolationKey: undefined, userIdentity: undefined }
  const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
  const mounted = await mountSession(
    { ...defaultValues(), ...address, ...roots, directory },
    { logger: silentLogger, descriptor },
  )
  t.match(mountAt(directory), { source: 'by hand' }, 'mounted once')
  t.match(await run('sh', ['-c', 'echo hello > "$1/f"; cat "$1/f"', 'sh', directory]).ended, {
    stdout: 'hello\n',
  })
  await mounted.drain()
  await mounted.unmount()
  await mounted.done
  await mounted.close()
  t.equal(mountAt(directory), undefined)
  t.same(files(emulator), { f: Buffer.from('hello\n') })
})
