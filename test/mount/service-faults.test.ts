/**
 * Every way in which the service is known to fail, met by programs on a mount: what was written arrives, once
 * and whole, or is named by every barrier until it does. Without a mount they are in `test/crash/faults.test.ts`.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FaultRule } from '../../src/emulator/faults.ts'
import { eventually } from './programs.ts'
import { mountEmulator, treeOf, type MountedEmulator } from './rig.ts'

const fsync = (path: string, call = 'fsync'): string =>
  `python3 -c "
import os
fd = os.open('${path}', os.O_RDONLY)
try: os.${call}(fd); print('0')
except OSError as e: print(e.strerror)
"`

const served = (mounted: MountedEmulator, path: string): string | undefined => {
  const file = join(mounted.emulator.home, path)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}

const passing: Readonly<Record<string, FaultRule>> = {
  '429 with Retry-After': { verb: 'upload', kind: 'status', status: 429, retryAfter: 1, times: 2 },
  '500': { verb: 'upload', kind: 'status', status: 500, times: 2 },
  '503': { verb: 'upload', kind: 'status', status: 503, times: 2 },
  'reset before commit': { verb: 'upload', kind: 'reset', when: 'before-commit', times: 1 },
  'reset after commit': { verb: 'upload', kind: 'reset', when: 'after-commit', times: 1 },
  'visible partial PUT': { verb: 'upload', kind: 'partial', bytes: 3, times: 1 },
  '401 once': { verb: 'upload', kind: 'status', status: 401, times: 1 },
  'late commit of a PUT': { verb: 'upload', kind: 'late-commit', afterMs: 500, times: 1 },
  'late commit of a DELETE': { verb: 'delete', kind: 'late-commit', afterMs: 500, times: 1 },
  '500 of a DELETE': { verb: 'delete', kind: 'status', status: 500, times: 2 },
  'reset of a DELETE': { verb: 'delete', kind: 'reset', when: 'after-commit', times: 1 },
}

void t.test('what passes is waited for by fsync, and nothing is there twice', async (t) => {
  const mounted = await mountEmulator(t)
  for (const [name, fault] of Object.entries(passing)) {
    await mounted.ok('mkdir d; echo old > d/config; echo gone > d/gone; echo 1 > d/log')
    await mounted.sync()
    const clear = mounted.emulator.fault(fault)
    const said = await mounted.ok(
      `echo new > d/tmp; mv d/tmp d/config; rm d/gone; echo 2 >> d/log; ${fsync('d')}; ${fsync('d/log')}`,
    )
    clear()
    t.equal(said, '0\n0\n', name)
    const tree = { d: null, 'd/config': 'new\n', 'd/log': '1\n2\n' }
    t.same(treeOf(mounted.emulator.home), tree, name)
    await mounted.ok('rm -r d')
    await mounted.sync()
  }
  t.same(mounted.logged('error'), [])
})

for (const [status, errno] of [
  [409, 'Input/output error'],
  [413, 'File too large'],
] as const) {
  void t.test(`${status}: one path is parked, named by every barrier, and can be given up`, async (t) => {
    const mounted = await mountEmulator(t)
    const clear = mounted.emulator.fault({ verb: 'upload', path: 'd/f', kind: 'status', status })
    await mounted.ok('mkdir d; echo kept > d/f; echo kept > d/other')
    for (let round = 0; round < 2; round++) {
      t.match(
        await mounted.ok(`${fsync('d/f')}; ${fsync('d/f', 'fdatasync')}; ${fsync('d')}; cat d/f`),
        errno,
      )
      t.match(await mounted.sh('sync d/f'), { code: 1 })
      t.match(await mounted.command(['sync', mounted.directory]), { code: 1, stderr: /d\/f/ })
      t.match(await mounted.command(['unmount', mounted.directory]), { code: 1, stderr: /d\/f.*parked/ })
    }
    t.ok(await eventually(() => served(mounted, 'd/other') === 'kept\n'))
    t.match((await mounted.status()).paths, [{ path: 'd/f', state: 'parked', bytes: 5, error: String }])
    clear()
    t.match(await mounted.command(['status', '--retry', mounted.directory]), { code: 0 })
    await mounted.sync()
    t.equal(served(mounted, 'd/f'), 'kept\n')
    const again = mounted.emulator.fault({ verb: 'upload', path: 'd/f', kind: 'status', status })
    await mounted.ok('echo changed > d/f')
    t.not((await mounted.command(['sync', mounted.directory])).code, 0)
    const discard = ['status', '--yes', '--discard', join(mounted.directory, 'd/f'), mounted.directory]
    t.match(await mounted.command(discard), { code: 0 })
    again()
    t.match(await mounted.command(['unmount', mounted.directory]), { code: 0 })
    t.equal(served(mounted, 'd/f'), 'kept\n')
  })
}

void t.test(
  'names that the service does not take can be renamed and removed, and nothing stays',
  async (t) => {
    const mounted = await mountEmulator(t)
    await mounted.ok(String.raw`mkdir 'x\y' 'p\q' 'v\w'; echo 1 | tee 'p\q/f' 'v\w/f' 'r\s' 't\u'`)
    t.match(await mounted.command(['sync', mounted.directory]), { code: 1, stderr: /not allowed/ })
    t.match((await mounted.status()).paths, [{ state: 'parked' }])
    t.match(await mounted.sh(String.raw`rmdir 'x\y'; rm -r 'v\w' 't\u'; mv 'p\q' pq; mv 'r\s' rs; ls`), {
      code: 0,
      stdout: /^pq\nrs\n/,
      stderr: '',
    })
    await mounted.sync()
    t.same(treeOf(mounted.emulator.home), { pq: null, 'pq/f': '1\n', rs: '1\n' })
  },
)

for (const [extras, statuses] of [
  [false, [400]],
  [true, [400]],
  [false, [414, 413]],
  [true, [414, 413]],
] as const) {
  void t.test(
    `a directory of a refused name is only here: ${statuses.join(', ')}, mkdir ${extras ? 'known' : 'not known'}`,
    async (t) => {
      const mounted = await mountEmulator(t, { emulator: { extras, latencyMs: 5 }, args: ['--ttl', '200ms'] })
      for (const status of statuses) {
        // the emulator takes no backslash; what it would take is refused by a fault
        const name = status === 400 ? String.raw`c\d` : `long-${'x'.repeat(200)}`
        // the path of mkdir is in its body
        const rules: FaultRule[] = (['upload', 'list', 'delete'] as const).map((verb) => ({
          verb,
          path: /long-/,
          kind: 'status',
          status,
        }))
        rules.push({ verb: 'mkdir', kind: 'status', status })
        const clear = status === 400 ? [] : rules.map((rule) => mounted.emulator.fault(rule))
        // while it is not known yet: a request meets one fault only
        const hold = status === 400 ? mounted.emulator.hold({ verb: 'upload', path: /g$/ }) : undefined
        await mounted.ok(`mkdir '${name}'; mkdir '${name}/e'; touch '${name}/f' '${name}/e/g'`)
        await hold?.reached
        t.equal(await mounted.ok(`sleep 0.5; ls '${name}/e'; ! stat '${name}/e/none' 2> ../none`), 'g\n')
        hold?.release()
        t.match(await mounted.command(['sync', mounted.directory]), { code: 1, stderr: name.slice(0, 20) })
        t.equal(
          await mounted.ok(`sleep 0.5; ls '${name}' '${name}/e'; stat -c %F '${name}/e' '${name}/f'`),
          `${name}:\ne\nf\n\n${name}/e:\ng\ndirectory\nregular empty file\n`,
        )
        t.match(await mounted.sh(`stat '${name}/none'`), { code: 1, stderr: 'No such file' })
        await mounted.ok(`mv '${name}/e' '${name}/h'; mv '${name}' '${name}2'; mv '${name}2' '${name}'`)
        await mounted.ok(`rm -r '${name}'; ! ls '${name}' 2> ../none`)
        await mounted.sync()
        for (const end of clear) end()
        t.same(treeOf(mounted.emulator.home), {}, `nothing stays after ${status}`)
        t.same((await mounted.status()).paths, [])
      }
    },
  )
}

for (const status of [401, 403]) {
  void t.test(
    `${status} for good: everything waits behind one probe, is read meanwhile, and heals`,
    async (t) => {
      const mounted = await mountEmulator(t)
      const clear = mounted.emulator.fault({ verb: 'upload', kind: 'status', status })
      await mounted.ok('mkdir d; for i in 1 2 3 4 5 6 7 8; do echo $i > d/$i; done')
      for (let round = 0; round < 2; round++) {
        t.equal(
          await mounted.ok(`${fsync('d/3')}; ${fsync('d')}; cat d/8`),
          'Permission denied\nPermission denied\n8\n',
        )
        t.match(await mounted.command(['sync', mounted.directory]), { code: 1 })
      }
      t.match(await mounted.status(), { service: { state: 'paused' } })
      t.equal((await mounted.status()).paths.length, 9, 'the directory and what is in it')
      clear()
      await mounted.sync()
      t.equal(Object.keys(treeOf(mounted.emulator.home)).length, 9)
    },
  )
}

void t.test('a session that is gone: ESTALE, and what was written can be taken out', async (t) => {
  const mounted = await mountEmulator(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  await mounted.ok('echo kept > f')
  await hold.reached
  const [agent = '', session = ''] = mounted.emulator.target.split('/')
  await mounted.emulator.deleteSession(agent, session)
  hold.release()
  t.equal(
    await mounted.ok(`${fsync('f')}; ${fsync('f')}; cat f`),
    'Stale file handle\nStale file handle\nkept\n',
  )
  t.match((await mounted.status()).paths, [{ path: 'f', bytes: 5 }])
})

void t.test('a stalled upload: fsync ends by lack of progress, every time, and says so', async (t) => {
  const mounted = await mountEmulator(t, { args: ['--timeout', '2s'] })
  mounted.emulator.fault({ verb: 'upload', kind: 'stall', where: 'headers' })
  await mounted.ok('echo kept > f')
  t.equal(await mounted.ok(`${fsync('f')}; ${fsync('f')}`), 'Connection timed out\nConnection timed out\n')
  t.match(await mounted.command(['sync', mounted.directory]), { code: 1, stderr: /\bf: / })
})

void t.test('the agent changes the old name while a rename is on its way: theirs stays there', async (t) => {
  const mounted = await mountEmulator(t)
  const old = join(mounted.emulator.home, 'old')
  fs.writeFileSync(old, 'as it was')
  await mounted.ok('cat old')
  const hold = mounted.emulator.hold({ verb: 'upload', path: 'new' })
  await mounted.ok('mv old new')
  await hold.reached
  fs.writeFileSync(old, 'changed by the agent')
  hold.release()
  await mounted.sync()
  t.same(treeOf(mounted.emulator.home), { new: 'as it was', old: 'changed by the agent' })
  t.match(mounted.logged('warn').join(), 'the old name stays')
  t.equal(await mounted.ok('cat old new'), 'changed by the agentas it was')
})

void t.test('status answers while a download and an upload hang, through the mount as well', async (t) => {
  const mounted = await mountEmulator(t)
  fs.writeFileSync(join(mounted.emulator.home, 'theirs'), 'x'.repeat(100_000))
  const [download, upload] = [
    mounted.emulator.hold({ verb: 'download' }),
    mounted.emulator.hold({ verb: 'upload' }),
  ]
  const reading = mounted.startSh('cat theirs | wc -c')
  await mounted.ok('echo ours > ours')
  await Promise.all([download.reached, upload.reached])
  const report = JSON.parse(await mounted.ok('cat .status', { limitMs: 10_000 })) as unknown
  const ours = { path: 'ours', state: 'uploading', bytes: 5, ageMs: Number }
  t.match(report, {
    pid: mounted.pid,
    service: { state: 'ready' },
    paths: [ours],
    calls: { list: { 200: Number } },
  })
  t.match((await mounted.status()).paths, [ours])
  download.release()
  upload.release()
  t.equal((await reading.ended).stdout, '100000\n')
  await mounted.sync()
})
