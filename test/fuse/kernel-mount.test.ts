import t from 'tap'
import { chmod, chown, mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unmountKernel } from '../../src/fuse/fusermount.ts'
import { mountKernel, mountOptions } from '../../src/fuse/kernel-mount.ts'
import { mountAt, parseMountTable } from '../../src/fuse/mount-table.ts'
import { emptyDirectory, eventually, mounted, nobody, run, startDaemon } from './mounted.ts'

const root = process.getuid?.() === 0

void t.test('options as mount(8) knows them; commas and backslashes are escaped', (t) => {
  t.equal(
    mountOptions({ source: 'agent/a,b\\c' }),
    'rw,nosuid,nodev,fsname=agent/a\\,b\\\\c,subtype=mount-session,default_permissions',
  )
  t.equal(
    mountOptions({
      source: 's',
      subtype: 't',
      readOnly: true,
      allowOther: true,
      defaultPermissions: false,
      maxReadBytes: 65536,
      autoUnmount: true,
    }),
    'ro,nosuid,nodev,fsname=s,subtype=t,allow_other,max_read=65536,auto_unmount',
  )
  t.end()
})

void t.test('the mount table, escapes included', (t) => {
  const line = '95 30 0:39 / /tmp/a\\040b rw,nosuid shared:1 - fuse.mount-session agent/x\\134y rw,user_id=0'
  t.same(parseMountTable(`${line}\n`), [
    {
      id: 95,
      device: '0:39',
      directory: '/tmp/a b',
      type: 'fuse.mount-session',
      source: 'agent/x\\y',
      options: ['rw', 'user_id=0'],
    },
  ])
  t.end()
})

void t.test('the mount shows its source and type', async (t) => {
  const { directory } = await mounted(t, { source: 'agent/session,1' })
  t.match(mountAt(directory), { type: 'fuse.mount-session', source: 'agent/session,1' })
})

void t.test('a read-only mount refuses writes before they reach us', async (t) => {
  const { sh, fs } = await mounted(t, { readOnly: true })
  t.match((await sh('LC_ALL=C touch f')).stderr, 'Read-only file system')
  t.equal(fs.calls['create'], undefined)
})

void t.test('max_read bounds what is asked for', async (t) => {
  const { sh, fs } = await mounted(t, { maxReadBytes: 8192 })
  fs.put('f', Buffer.alloc(100_000))
  await sh('cat f > /dev/null')
  t.equal(Math.max(...fs.readSizes), 8192)
})

void t.test('unmounting what is not mounted is told by code', async (t) => {
  const directory = await emptyDirectory(t)
  await t.rejects(unmountKernel(directory, { lazy: false }), { code: 'notMounted' })
})

void t.test('without fusermount3 the error says so', async (t) => {
  const directory = await emptyDirectory(t)
  const path = process.env['PATH']
  process.env['PATH'] = '/nonexistent'
  t.teardown(() => {
    process.env['PATH'] = path
    return Promise.resolve()
  })
  await t.rejects(mountKernel(directory, { source: 's' }), { code: 'noFusermount' })
})

void t.test('with auto_unmount a killed daemon leaves nothing', async (t) => {
  const directory = await emptyDirectory(t)
  const { child, ended, line } = startDaemon(directory, { autoUnmount: true })
  t.equal(await line, 'ready')
  child.kill('SIGKILL')
  await ended
  t.ok(await eventually(() => Promise.resolve(mountAt(directory) === undefined)))
})

void t.test('with auto_unmount an ordinary unmount ends the daemon', async (t) => {
  const directory = await emptyDirectory(t)
  const { ended, line } = startDaemon(directory, { autoUnmount: true })
  t.equal(await line, 'ready')
  await unmountKernel(directory, { lazy: false })
  t.match((await ended).stdout, 'unmounted')
})

void t.test(
  'an unprivileged user mounts, and only that user sees it',
  { skip: !root && 'needs root' },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'fuse-test-'))
    t.teardown(() => rmdir(directory))
    await chown(directory, 65534, 65534)
    const { ended, line } = startDaemon(directory, {}, nobody)
    t.equal(await line, 'ready')
    const file = join(directory, 'f')
    t.equal((await run('env', [...nobody, 'cat', file]).ended).stdout, 'content')
    t.match((await run('env', ['LC_ALL=C', 'cat', file]).ended).stderr, 'Permission denied')
    await run('env', [...nobody, 'fusermount3', '-u', directory]).ended
    t.match((await ended).stdout, 'unmounted')
  },
)

void t.test(
  'what an unprivileged user may not do is told by code',
  { skip: !root && 'needs root' },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'fuse-test-'))
    t.teardown(() => rmdir(directory))
    await chmod(directory, 0o755)
    await chown(directory, 65534, 65534)
    const other = startDaemon(directory, { allowOther: true }, nobody)
    const allowed = (await run('grep', ['-qx', 'user_allow_other', '/etc/fuse.conf']).ended).code === 0
    if (allowed) {
      t.equal(await other.line, 'ready')
      await unmountKernel(directory, { lazy: true })
    } else {
      t.equal(await other.line, 'allowOtherNotPermitted')
    }
    await other.ended
  },
)
