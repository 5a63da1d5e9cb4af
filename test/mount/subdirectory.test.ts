/**
 * A part of a session as a mount: `AGENT/SESSION:PATH DIR`, or `-o subdir=PATH`.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { isMounted, mount, mountLine, workplace } from './rig.ts'

/** A service whose session has a directory `project/src` and files around it. */
async function service(t: Test): Promise<TestEmulator> {
  const emulator = await startTestEmulator(t)
  const source = join(emulator.home, 'project/src')
  fs.mkdirSync(source, { recursive: true })
  fs.writeFileSync(join(source, 'main.py'), 'print(1)\n')
  fs.writeFileSync(join(source, '.logs'), "the agent's own\n")
  fs.writeFileSync(join(emulator.home, 'project/beside'), 'beside\n')
  return emulator
}

void t.test(
  'the part is the root: read, written, renamed and removed where it is in the session',
  async (t) => {
    const emulator = await service(t)
    const { ok, sync, status, directory } = await mount(t, {
      ...emulator,
      target: `${emulator.target}:project/src`,
    })
    t.match(mountLine(directory)?.join(' '), `${emulator.target}:project/src`)
    t.equal(await ok('ls -A'), 'main.py\n', 'the name of the console stands for the console')
    t.equal(await ok('cat main.py'), 'print(1)\n')
    await ok('mkdir -p a/b; echo new >a/b/file; mv main.py moved.py; cd a; test "$(cat ../a/b/file)" = new')
    await sync()
    const read = (path: string): string => fs.readFileSync(join(emulator.home, 'project/src', path), 'utf8')
    t.strictSame([read('a/b/file'), read('moved.py')], ['new\n', 'print(1)\n'])
    await ok('rm -r a moved.py; git init -q . && git add -A')
    await sync()
    t.strictSame(fs.readdirSync(join(emulator.home, 'project/src')).toSorted(), ['.git', '.logs'])
    t.strictSame(fs.readdirSync(join(emulator.home, 'project')).toSorted(), ['beside', 'src'])
    t.match(await status(), { subdirectory: 'project/src', paths: [] })
    const outside = emulator.calls().filter(({ path }) => !path.startsWith('project'))
    t.strictSame(
      outside.filter(({ verb }) => verb === 'list' || verb === 'download'),
      [],
      'nothing else is asked for',
    )
  },
)

void t.test('sync and discard take paths of the mount', async (t) => {
  const emulator = await service(t)
  const part = await mount(t, {
    ...emulator,
    target: `${emulator.target}:project/src`,
  })
  const { ok, directory, status } = part
  emulator.fault({ verb: 'upload', kind: 'status', status: 400 })
  await ok('echo 1 >refused')
  t.match(await part.command(['sync', directory, 'refused']), { code: 1 })
  t.match(await status(), { paths: [{ path: 'project/src/refused' }] })
  t.match(await part.command(['status', directory, '--discard', 'refused', '--yes']), {
    code: 0,
    stderr: 'gave up 1 change\n',
  })
  t.match(await part.command(['sync', directory]), { code: 0 })
})

void t.test('what a part left behind goes up with a mount of the whole', async (t) => {
  const emulator = await service(t)
  const part = await mount(t, { ...emulator, target: `${emulator.target}:project/src` })
  const hold = emulator.hold({ verb: 'upload' })
  await part.ok('echo kept >kept')
  process.kill(part.pid, 'SIGKILL')
  hold.release()
  const env = {
    ...part.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  t.match(await part.command(['recover', emulator.target], { env }), { code: 0 })
  t.equal(fs.readFileSync(join(emulator.home, 'project/src/kept'), 'utf8'), 'kept\n')
})

void t.test('a part that is no directory of the session is not mounted', async (t) => {
  const emulator = await service(t)
  const work = workplace(t)
  const directory = work.mountPoint()
  const env = {
    ...work.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  for (const path of ['project/none', 'project/beside']) {
    const { code, stderr } = await work.command([`${emulator.target}:${path}`, directory], { env })
    t.match(
      { code, stderr },
      { code: 1, stderr: `${emulator.target}:${path}: no such directory in the session: make it first` },
    )
  }
  t.match(await work.command(['-o', 'subdir=a/../b', emulator.target, directory], { env }), {
    code: 2,
    stderr: 'not the path of a directory',
  })
  t.match(await work.command(['-o', 'subdir=a', `${emulator.target}:b`, directory], { env }), {
    code: 2,
    stderr: 'two directories',
  })
  t.notOk(isMounted(directory))
})
