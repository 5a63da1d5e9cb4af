/**
 * What can be mounted on, what is refused and why, and what becomes of a dead mount.
 */
import { chmod, mkdtemp, realpath, rm, symlink, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mountAt } from '../../src/fuse/mount-table.ts'
import { checkMountPoint, detachDead, isDeadMount, prepareMountPoint } from '../../src/mount/mount-point.ts'
import { SessionError } from '../../src/session/session-error.ts'
import { emptyDirectory, eventually, mounted, nobody, run, startDaemon } from '../fuse/mounted.ts'

const root = process.getuid?.() === 0

const refusal = (directory: string): Promise<unknown> =>
  prepareMountPoint(directory).catch((error: unknown) =>
    error instanceof SessionError
      ? `${error.code}: ${error.message.slice(error.message.indexOf(' ') + 1)}`
      : error,
  )

void t.test('what cannot be mounted on is told apart by code, and says what to do', async (t) => {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'mount-point-')))
  t.teardown(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'file'), '')
  await mkdir(join(directory, 'empty'))
  await symlink('empty', join(directory, 'link'))
  t.equal(await refusal(join(directory, 'none')), 'notDirectory: does not exist: make it first (mkdir)')
  t.equal(await refusal(join(directory, 'file')), 'notDirectory: is not a directory')
  t.equal(await refusal(join(directory, 'file/below')), 'notDirectory: is not a directory')
  t.equal(await refusal(directory), 'notEmpty: is not empty: mount on an empty directory')
  t.equal(await refusal(join(directory, 'link')), join(directory, 'empty'))
})

void t.test('a mount that answers is not mounted on', async (t) => {
  const { directory } = await mounted(t)
  t.match(await refusal(directory), 'alreadyMounted: is already mounted: "mount-session unmount')
  t.equal(await isDeadMount(directory), false)
})

void t.test('a killed daemon leaves a dead mount, which is found out and detached', async (t) => {
  const directory = await emptyDirectory(t)
  const { child, ended, line } = startDaemon(directory, {})
  t.equal(await line, 'ready')
  t.equal(await isDeadMount(directory), false)
  child.kill('SIGKILL')
  await ended
  t.ok(await eventually(() => isDeadMount(directory)))
  await t.rejects(checkMountPoint(directory), { code: 'alreadyMounted' })
  t.equal(await detachDead(directory), true)
  t.equal(mountAt(directory), undefined)
  t.equal(await detachDead(directory), false)
})

void t.test('preparing to mount where a daemon was killed detaches what it left', async (t) => {
  const directory = await emptyDirectory(t)
  const { child, ended, line } = startDaemon(directory, {})
  t.equal(await line, 'ready')
  child.kill('SIGKILL')
  await ended
  t.ok(await eventually(() => isDeadMount(directory)))
  t.equal(await prepareMountPoint(directory), directory)
  t.equal(mountAt(directory), undefined)
})

void t.test(
  'a directory that the user may not write to is refused',
  { skip: !root && 'needs root' },
  async (t) => {
    const directory = await emptyDirectory(t)
    await chmod(directory, 0o755)
    const script = `
      const { prepareMountPoint } = await import('${new URL('../../src/mount/mount-point.ts', import.meta.url).href}')
      await prepareMountPoint(process.argv[1]).catch((error) => console.log(error.code, error.message))`
    const args = [...nobody, process.execPath, '--input-type=module', '-e', script, directory]
    t.equal((await run('env', args).ended).stdout, `fuse ${directory} is not writable\n`)
  },
)
