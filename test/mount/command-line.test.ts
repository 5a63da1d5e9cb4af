/**
 * The life of a daemon from its start to its end, and the options of mount(8), on real mounts. What the
 * commands say otherwise is in `test/cli`.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Call } from '../../src/emulator/emulator.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { eventually } from './programs.ts'
import {
  isMounted,
  isRunning,
  main,
  mount,
  type Mounted,
  mountEmulator,
  mountLine,
  serviceLatencyMs,
  workplace,
} from './rig.ts'

const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot ? false : 'only root can stage this' }
const nobody = 65_534

const uploadsOf = (emulator: TestEmulator, path: string): readonly Readonly<Call>[] =>
  emulator.calls().filter((call) => call.verb === 'upload' && call.path === path)

const read = (emulator: TestEmulator, path: string): string | undefined => {
  const file = join(emulator.home, path)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}

void t.test('without /dev/fuse: one line, exit code 1, nothing mounted', onlyRoot, async (t) => {
  const emulator = await startTestEmulator(t)
  const work = workplace(t)
  const directory = work.mountPoint()
  /* the same devices, without that one */
  const hide = `dev=$1; shift
    for name in null zero random urandom; do touch $dev/$name; mount --bind /dev/$name $dev/$name; done
    mount --rbind $dev /dev && exec "$@"`
  const dev = join(work.root, 'dev')
  fs.mkdirSync(dev)
  const command = [process.execPath, main, '--endpoint', emulator.endpoint, emulator.target, directory]
  const { code, stdout, stderr } = await work.start(
    'unshare',
    ['-m', 'sh', '-c', hide, 'sh', dev, ...command],
    { env: { ...work.env, MOUNT_SESSION_TOKEN: emulator.token } },
  ).ended
  t.match(stderr, /^mount-session: .*\/dev\/fuse.*\n$/)
  t.same([code, stdout, stderr.split('\n').length], [1, '', 2])
  t.notOk(isMounted(directory))
})

void t.test('unmount waits for what is on its way, says what for, then unmounts', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator, directory } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await mounted.ok('echo slow > slow; mkdir d; echo deep > d/deep')
  await hold.reached
  const unmounting = mounted.start(
    'script',
    ['-qefc', `${process.execPath} ${main} unmount ${directory}`, '/dev/null'],
    { env: mounted.env },
  )
  await unmounting.until((text) => text.includes('0/3 files, 0 B of 10 B'))
  t.ok(isMounted(directory))
  t.equal(await mounted.ok('cat slow'), 'slow\n', 'it goes on working meanwhile')
  hold.release()
  t.equal((await unmounting.ended).code, 0)
  t.notOk(isMounted(directory))
  t.strictSame([read(emulator, 'slow'), read(emulator, 'd/deep')], ['slow\n', 'deep\n'])
  t.ok(await eventually(() => !isRunning(mounted.pid)), 'the daemon has ended')
})

void t.test('a busy mount says so, keeps working and loses nothing', async (t) => {
  const mounted = await mountEmulator(t)
  const user = mounted.startSh(
    'exec 3>> open; echo first >&3; echo ready; sleep 0.2; read -r line < <(tail -f /dev/null)',
  )
  await user.until((text) => text.includes('ready'))
  const busy = await mounted.command(['unmount', mounted.directory])
  t.equal(busy.code, 1)
  t.match(busy.stderr, /is busy: .*bash \(pid \d+/)
  t.equal(read(mounted.emulator, 'open'), 'first\n', 'what was written is uploaded')
  await mounted.ok('echo second >> open; echo more > more')
  process.kill(-(user.child.pid ?? 0), 'SIGKILL')
  await user.ended
  const { code, stderr } = await mounted.command(['unmount', mounted.directory])
  t.equal(code, 0, stderr)
  t.strictSame(
    [read(mounted.emulator, 'open'), read(mounted.emulator, 'more')],
    ['first\nsecond\n', 'more\n'],
  )
})

for (const command of ['fusermount3 -u', 'umount', 'umount -l']) {
  void t.test(
    `after ${command} the daemon finishes in the background`,
    command === 'umount' ? onlyRoot : {},
    async (t) => {
      const mounted = await mountEmulator(t)
      const { emulator, directory } = mounted
      const hold = emulator.hold({ verb: 'upload' })
      await mounted.ok('echo last > last')
      await hold.reached
      const [program = '', ...args] = command.split(' ')
      t.equal((await mounted.start(program, [...args, directory]).ended).code, 0)
      t.notOk(isMounted(directory))
      t.ok(isRunning(mounted.pid))
      const held = await mounted.command([emulator.target, directory])
      t.equal(held.code, 1)
      t.match(held.stderr, /held by pid \d+/)
      hold.release()
      t.ok(await eventually(() => !isRunning(mounted.pid)))
      t.equal(read(emulator, 'last'), 'last\n')
    },
  )
}

void t.test('SIGTERM uploads, unmounts and ends', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator, directory, pid } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await mounted.ok('echo last > last')
  await hold.reached
  process.kill(pid, 'SIGTERM')
  t.ok(await eventually(() => mounted.logged('info').some((line) => line.includes('SIGTERM'))))
  t.ok(isMounted(directory))
  hold.release()
  t.ok(await eventually(() => !isRunning(pid)))
  t.notOk(isMounted(directory))
  t.equal(read(emulator, 'last'), 'last\n')
})

void t.test(
  'a second SIGTERM stops at once; the next mount shows what was left, and uploads it',
  async (t) => {
    const mounted = await mountEmulator(t)
    const { emulator, directory, pid } = mounted
    const hold = emulator.hold({ verb: 'upload' })
    await mounted.ok('echo kept > kept')
    await hold.reached
    process.kill(pid, 'SIGTERM')
    t.ok(await eventually(() => mounted.logged('info').some((line) => line.includes('SIGTERM'))))
    process.kill(pid, 'SIGTERM')
    t.ok(await eventually(() => !isRunning(pid)), 'although the upload hangs')
    t.notOk(isMounted(directory))
    t.match(mounted.logged('warn').join(), /stopped at once.*|kept/)
    t.equal(read(emulator, 'kept'), undefined)
    t.equal((await mounted.command([emulator.target, directory])).code, 0)
    mounted.owns((await mounted.status()).pid)
    t.equal(await mounted.ok('cat kept'), 'kept\n')
    hold.release()
    await mounted.sync()
    t.equal(read(emulator, 'kept'), 'kept\n')
  },
)

void t.test('after kill -9 the next mount detaches the dead one and goes on', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator, directory, pid } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await mounted.ok('echo kept > kept; mkdir d; echo deep > d/deep; mv d e')
  await hold.reached
  process.kill(pid, 'SIGKILL')
  t.ok(await eventually(() => !isRunning(pid)))
  t.ok(isMounted(directory))
  t.not((await mounted.sh('ls')).code, 0)
  emulator.clearFaults()
  const again = await mounted.command([emulator.target, directory])
  t.equal(again.code, 0, again.stderr)
  mounted.owns((await mounted.status()).pid)
  t.equal(await mounted.ok('cat kept e/deep; ls'), 'kept\ndeep\ne\nkept\n')
  await mounted.sync()
  t.strictSame(
    [read(emulator, 'kept'), read(emulator, 'e/deep'), read(emulator, 'd/deep')],
    ['kept\n', 'deep\n', undefined],
  )
})

void t.test('a killed mount is detached when its session is mounted at another place', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator, directory, pid } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await mounted.ok('echo kept > kept')
  await hold.reached
  process.kill(pid, 'SIGKILL')
  t.ok(await eventually(() => !isRunning(pid)))
  emulator.clearFaults()
  const elsewhere = mounted.mountPoint('elsewhere')
  t.match(await mounted.command([emulator.target, elsewhere]), { code: 0 })
  const { stdout } = await mounted.command(['status', '--json', elsewhere])
  mounted.owns((JSON.parse(stdout) as { pid: number }).pid)
  t.notOk(isMounted(directory), 'the dead mount is gone')
  t.match(await mounted.command(['status', directory]), { code: 1, stderr: /is not a mounted session/ })
  t.equal((await mounted.start('cat', [join(elsewhere, 'kept')]).ended).stdout, 'kept\n')
  t.match(await mounted.command(['sync', elsewhere]), { code: 0 })
  t.equal(read(emulator, 'kept'), 'kept\n')
})

void t.test('-o umask=0 lets everybody write whom the mount lets in', async (t) => {
  const mounted = await mountEmulator(t, { args: ['-o', 'umask=0'], emulator: { seedFiles: true } })
  t.equal(await mounted.ok("stat -c '%a' README.md agent"), '666\n777\n')
})

void t.test('-o ro refuses changes, and -o uid, gid and umask show', async (t) => {
  const mounted = await mountEmulator(t, {
    args: ['-o', 'ro,uid=1234,gid=4321,umask=027'],
    emulator: { seedFiles: true },
  })
  t.equal(await mounted.ok("stat -c '%u %g %a' README.md agent"), '1234 4321 640\n1234 4321 750\n')
  t.match(mounted.emulator.counts(), { upload: 0, delete: 0 })
  for (const change of [
    'echo > new',
    'rm README.md',
    'mkdir d',
    'mv README.md x',
    'chmod 600 README.md',
    'touch README.md',
  ]) {
    const { code, stderr } = await mounted.sh(change)
    t.not(code, 0)
    t.match(stderr, 'Read-only file system', change)
  }
  t.match(await mounted.ok('cat README.md'), /\w/)
})

/** The program as it is installed: one file, which mount(8) runs with a PATH of its own. */
function install(directory: string): string {
  const program = join(directory, 'mount-session')
  const script = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`
  fs.writeFileSync(program, script, { mode: 0o755 })
  return program
}

void t.test('mount(8) and a line of fstab mount a session, and umount(8) ends it', onlyRoot, async (t) => {
  const emulator = await startTestEmulator(t, { seedFiles: true })
  const work = workplace(t)
  const directory = work.mountPoint()
  const source = `${install(work.root)}#${emulator.target}`
  const env = { ...work.env, MOUNT_SESSION_TOKEN: emulator.token }
  const run = (command: string, ...args: readonly string[]) => work.start(command, args, { env }).ended
  const fstab = join(work.root, 'fstab')
  /* `user` stands for noexec, too */
  const list = `endpoint=${emulator.endpoint},noauto,user,_netdev,nofail,ttl=5s`
  fs.writeFileSync(fstab, `${source} ${directory} fuse ${list} 0 0\n`)
  const byHand = ['-t', 'fuse', '-o', `endpoint=${emulator.endpoint},noexec`, source, directory]
  for (const args of [byHand, ['--fstab', fstab, directory]]) {
    const mounting = await run('mount', ...args)
    t.same([mounting.code, mounting.stderr], [0, ''], args.join(' '))
    const { stdout } = await work.command(['status', '--json', directory], { env })
    const { pid } = JSON.parse(stdout) as { pid: number }
    work.owns(pid)
    t.match(mountLine(directory)?.[5], /\bnoexec\b/)
    const program = join(directory, 'program')
    const running = await run(
      'sh',
      '-c',
      `echo '#!/bin/sh' > ${program} && chmod +x ${program} && ${program}`,
    )
    t.match(running, { code: 126, stderr: /Permission denied/ })
    t.equal((await run('umount', directory)).code, 0)
    t.ok(await eventually(() => !isRunning(pid)), 'the daemon has ended')
  }
  t.equal(read(emulator, 'program'), '#!/bin/sh\n')
})

void t.test('-o sync: each close and each naming call returns when the service has it', async (t) => {
  const mounted = await mountEmulator(t, { args: ['-o', 'sync'] })
  const { emulator } = mounted
  const there = `'${emulator.home}'`
  await mounted.ok(`echo one > one; cmp one ${there}/one
    mkdir d; test -d ${there}/d
    echo two >> one; cmp one ${there}/one
    mv one d/two; test ! -e ${there}/one; cmp d/two ${there}/d/two
    rm d/two; test ! -e ${there}/d/two
    rmdir d; test ! -e ${there}/d`)
  emulator.fault({ verb: 'upload', kind: 'status', status: 409, times: 1 })
  const refused = await mounted.sh(
    "python3 -c \"import os; fd = os.open('refused', os.O_CREAT | os.O_WRONLY); os.write(fd, b'x'); os.close(fd)\"",
  )
  t.not(refused.code, 0, 'close says what the service said')
})

void t.test('other users see nothing without -o allow_other', onlyRoot, async (t) => {
  const as = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups']
  const look = async (mounted: Mounted): Promise<number | null> => {
    fs.chmodSync(mounted.root, 0o755)
    const { code } = await mounted.start('setpriv', [...as, 'cat', join(mounted.directory, 'README.md')])
      .ended
    return code
  }
  const emulator = { seedFiles: true }
  const [alone, shared] = [
    await mountEmulator(t, { emulator }),
    await mountEmulator(t, { emulator, args: ['-o', 'allow_other'] }),
  ]
  t.equal(await look(alone), 1)
  t.equal(await look(shared), 0)
  await shared.ok('umask 077; echo mine > private')
  const denied = await shared.start('setpriv', [...as, 'cat', join(shared.directory, 'private')]).ended
  t.match(denied.stderr, 'Permission denied')
})

void t.test('an unprivileged user mounts, writes and unmounts', onlyRoot, async (t) => {
  const emulator = await startTestEmulator(t, { latencyMs: serviceLatencyMs })
  const work = workplace(t)
  const directory = work.mountPoint()
  fs.chmodSync(work.root, 0o755)
  for (const own of [directory, join(work.root, 'home')]) fs.chownSync(own, nobody, nobody)
  const home = join(work.root, 'home')
  const env = {
    ...work.env,
    XDG_STATE_HOME: undefined,
    XDG_CACHE_HOME: undefined,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const run = (...command: readonly string[]) =>
    work.start(
      'setpriv',
      ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups', ...command],
      { env },
    ).ended
  const program = [process.execPath, main]
  const mounting = await run(...program, emulator.target, directory)
  t.equal(mounting.code, 0, mounting.stderr)
  const { stdout } = await run(...program, 'status', '--json', directory)
  work.owns((JSON.parse(stdout) as { pid: number }).pid)
  t.equal(
    (await run('sh', '-c', `cd ${directory} && echo text > file && stat -c %u file && cat file`)).stdout,
    `${nobody}\ntext\n`,
  )
  for (const path of ['.local/state/mount-session', '.cache/mount-session'])
    t.equal(fs.statSync(join(home, path)).mode & 0o777, 0o700)
  const refused = await run(...program, '-o', 'allow_other', emulator.target, directory)
  t.equal(refused.code, 1)
  const unmounting = await run(...program, 'unmount', directory)
  t.equal(unmounting.code, 0, unmounting.stderr)
  t.equal(read(emulator, 'file'), 'text\n')
})

void t.test('a session that is asleep is woken by the mount', async (t) => {
  const emulator = await startTestEmulator(t, { wakeMs: 1500, seedFiles: true })
  emulator.sleepSession('demo-agent', 'demo-session-0001')
  const mounted = await mount(t, emulator)
  t.match(await mounted.ok('ls; echo new > new'), 'README.md')
  await mounted.sync()
  t.equal(uploadsOf(emulator, 'new').at(-1)?.status, 201)
})
