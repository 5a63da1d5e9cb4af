/**
 * The mount on other correct servers of the same surface: nothing may depend on one server's habits.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestEmulator } from '../emulator-server.ts'
import { startIndependentService } from './independent-service.ts'
import { mount, mountEmulator } from './rig.ts'
import { fixtures, sides } from './side-by-side.ts'

const work = `cp -r "$INPUTS/tree" .; diff -r "$INPUTS/tree" tree
  mv tree moved; mv moved/README moved/docs/renamed; sed -i s/line/LINE/ moved/docs/renamed; cat moved/docs/renamed
  rm -r moved/src; echo more >> moved/docs/one.txt; cat moved/docs/one.txt
  mkdir -p empty/below; touch none
  find . | sort`

void t.test('opaque cursors, pages of 7 in no order, real times, and mkdir', async (t) => {
  const mounted = await mountEmulator(t, {
    emulator: { cursor: 'opaque', listOrder: 'shuffled', pageSize: 7, extras: true, modifiedTime: 'real' },
  })
  fs.mkdirSync(join(mounted.emulator.home, 'many'))
  for (let i = 0; i < 120; i++) fs.writeFileSync(join(mounted.emulator.home, 'many', `file-${i}`), `${i}`)
  t.equal(await mounted.ok('ls many | wc -l; cat many/* | wc -c; cat many/file-119'), '120\n250\n119')
  const { alike } = sides(mounted, fixtures(mounted.root))
  await alike(t, 'work', work)
  t.ok(mounted.emulator.counts().mkdir > 0)
  t.strictSame(mounted.logged('error'), [])
})

void t.test('without mkdir an empty directory is there all the same, and nothing else', async (t) => {
  const mounted = await mountEmulator(t)
  await mounted.ok('mkdir -p one/two three')
  await mounted.sync()
  t.strictSame(fs.readdirSync(mounted.emulator.home, { recursive: true }).toSorted(), [
    'one',
    'one/two',
    'three',
  ])
  await mounted.ok('rmdir three one/two one; sleep 2.1; test -z "$(ls -A)"')
  await mounted.sync()
  t.strictSame(fs.readdirSync(mounted.emulator.home), [])
})

void t.test('https, where the certificate is trusted and not else', async (t) => {
  const emulator = await startTestEmulator(t, { tls: true, seedFiles: true })
  await t.rejects(mount(t, emulator), {
    message: /not mounted: exit 1\n\nmount-session: https:.*certificate/,
  })
  const mounted = await mount(t, emulator, { args: ['--ca-file', emulator.certificatePath ?? ''] })
  t.match(await mounted.ok('cat README.md'), /\w/)
})

void t.test('another implementation, with other habits wherever there is a choice', async (t) => {
  const service = await startIndependentService(t)
  for (let i = 0; i < 10; i++) service.files.set(`given/file ${i}`, Buffer.from(`content ${i}\n`))
  const mounted = await mount(t, service)
  t.equal(await mounted.ok('ls given | wc -l; cat given/file\\ 7'), '10\ncontent 7\n')
  const inputs = fixtures(mounted.root)
  await mounted.ok(work, { env: { ...mounted.env, INPUTS: inputs } })
  await mounted.sync()
  const found = [...service.files.keys()].toSorted()
  t.strictSame(
    found.slice(0, 10),
    Array.from({ length: 10 }, (_, i) => `given/file ${i}`),
  )
  t.strictSame(found.slice(10), [
    'moved/docs/deep/deeper/three.bin',
    'moved/docs/deep/two.txt',
    'moved/docs/name with spaces.txt',
    'moved/docs/one.txt',
    'moved/docs/renamed',
    'moved/empty',
    'none',
  ])
  t.equal(String(service.files.get('moved/docs/renamed')), 'first LINE\nsecond LINE\nthird LINE\n')
  const three = fs.readFileSync(join(inputs, 'tree/docs/deep/deeper/three.bin'))
  t.ok(service.files.get('moved/docs/deep/deeper/three.bin')?.equals(three))
  t.match(await mounted.ok('ls -A empty; cat .logs'), /below/)
  await mounted.ok('rm -r given moved empty none; sleep 2.1; test -z "$(ls -A)"')
  const { code, stderr } = await mounted.command(['unmount', mounted.directory])
  t.equal(code, 0, stderr)
  t.strictSame([...service.files.keys()], [])
})
