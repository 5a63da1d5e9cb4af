/**
 * The mount on a server that contradicts itself: nothing is confirmed, dropped, cut or mixed because of it, and
 * nothing fills the disk. The server shares no code with the emulator.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually } from './programs.ts'
import { startIndependentService } from './independent-service.ts'
import { mount, treeOf } from './rig.ts'

const octets = { 'content-type': 'application/octet-stream' }

/** Bytes below a directory of the local disk. */
function bytesBelow(directory: string): number {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(join(entry.parentPath, entry.name)).size, 0)
}

void t.test('a download that has no end is stopped, also when its reader has gone', async (t) => {
  const service = await startIndependentService(t)
  service.files.set('endless', Buffer.alloc(100, 'a'))
  let open = 0
  let sent = 0
  service.lies.download = (path, response) => {
    if (path !== 'endless') return false
    open++
    response.on('close', () => open--)
    response.writeHead(200, octets)
    const piece = Buffer.alloc(64 * 1024, 'a')
    const send = (): void => {
      while (!response.destroyed && response.write(piece)) sent += piece.length
    }
    response.on('drain', send)
    send()
    return true
  }
  const mounted = await mount(t, service, { args: ['--cache-size', '32M'] })
  t.equal(await mounted.ok('head -c 10 endless'), 'a'.repeat(10))
  t.equal((await mounted.ok('cat endless')).length, 100)
  t.ok(await eventually(() => open === 0, 10_000), 'no download goes on')
  t.ok(sent < 32 * 1024 * 1024, `${sent} bytes were sent`)
  t.ok(bytesBelow(join(mounted.root, 'cache')) < 8 * 1024 * 1024)
})

void t.test(
  'content that is longer or shorter than listed is the file, or an error, never a part',
  async (t) => {
    const service = await startIndependentService(t)
    for (const name of ['longer', 'shorter', 'flapping']) service.files.set(name, Buffer.alloc(10, 'x'))
    const contents: Record<string, string> = { longer: 'L'.repeat(20), shorter: 'S'.repeat(4) }
    let turn = 0
    service.lies.download = (path, response) => {
      const text = path === 'flapping' ? (turn++ % 2 ? 'B'.repeat(30) : 'A'.repeat(10)) : contents[path]
      if (text === undefined) return false
      response.writeHead(200, { ...octets, 'content-length': text.length }).end(text)
      return true
    }
    const mounted = await mount(t, service)
    t.equal(await mounted.ok('cat longer; stat -c %s longer'), `${'L'.repeat(20)}20\n`)
    t.match(await mounted.sh('cat shorter'), { code: 1, stdout: '', stderr: 'Input/output error' })
    for (let round = 0; round < 6; round++) {
      t.match(await mounted.ok('cat flapping; sleep 0.5'), /^(A{10}|B{30})$/, 'one content, whole')
    }
  },
)

for (const [name, status, body] of [
  ['202', 202, '{"path":"f","bytes_written":7}'],
  ['204', 204, ''],
  ['success false', 201, '{"path":"f","success":false}'],
  ['a list', 201, '[]'],
  ['null', 201, 'null'],
  ['an error with 200', 200, '{"error":{"code":"internal","message":"no"}}'],
  ['fewer bytes', 201, '{"path":"f","bytes_written":3}'],
] as const) {
  void t.test(`no barrier takes this for stored: ${name}`, async (t) => {
    const service = await startIndependentService(t)
    let uploads = 0
    service.lies.upload = (_path, _content, response) => {
      uploads++
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      return true
    }
    const mounted = await mount(t, service, { args: ['--timeout', '2s'] })
    await mounted.ok('echo stored > f')
    t.match(await mounted.command(['sync', mounted.directory]), { code: 1, stderr: /f/ })
    t.ok(uploads > 0)
    t.equal(await mounted.ok('cat f'), 'stored\n')
    service.lies.upload = undefined
    t.ok(await eventually(() => String(service.files.get('f')) === 'stored\n', 60_000), 'it goes again')
  })
}

void t.test('what was confirmed and is not there is shown, kept, named, and can be taken out', async (t) => {
  const service = await startIndependentService(t)
  service.lies.upload = (path, content, response) => {
    const answer = JSON.stringify({ path, bytes_written: content.length, success: true })
    response.writeHead(201, { 'content-type': 'application/json' }).end(answer)
    return true
  }
  const mounted = await mount(t, service, { args: ['--ttl', '500ms'] })
  await mounted.ok('echo mine > f; sync f; sleep 2; cat f')
  t.equal(await mounted.ok('cat f'), 'mine\n', 'one listing that disagrees takes nothing away')
  const isSetAside = async (): Promise<boolean> => {
    await mounted.sh('ls; sleep 1')
    return (await mounted.status()).setAside.some(({ path }) => path === 'f')
  }
  t.ok(await eventually(isSetAside, 30_000), 'after three listings over ten seconds')
  t.match(await mounted.sh('cat f'), { code: 1, stderr: 'No such file' })
  t.match(mounted.logged('error').join('\n'), /the service confirmed it and does not show it/)
  t.match(JSON.parse(await mounted.ok('cat .status')), { setAside: [{ path: 'f' }] })
  await mounted.command(['unmount', mounted.directory])
  const taken = join(mounted.root, 'taken')
  t.match(await mounted.command(['recover', '--export', taken, service.target]), { code: 0 })
  t.same(treeOf(taken), { f: 'mine\n' })
})

void t.test(
  'one malformed entry is left out, and a listing without an end is an error that says so',
  async (t) => {
    const service = await startIndependentService(t)
    service.files.set('d/good', Buffer.from('good\n'))
    service.files.set('e/x', Buffer.from('x'))
    let pages = 0
    service.lies.list = (path, page) => {
      if (path === 'd') {
        const bad = [-1, 1.5, '12', 1e300].map((size, index) => ({ name: `bad-${index}`, size }))
        return {
          ...page,
          entries: [...bad, { size: 1 }, { name: 'odd', is_directory: 1 }, null, ...page.entries],
        }
      }
      if (path !== 'e') return undefined
      pages++
      return { ...page, has_more: true, last_id: `cursor-${pages}` }
    }
    const mounted = await mount(t, service)
    t.equal(await mounted.ok('cat d/good; ls d'), 'good\ngood\n')
    t.match(await mounted.sh('ls e'), { code: 2, stderr: 'Input/output error' })
    t.ok(pages < 500, `${pages} pages`)
    t.equal(mounted.logged('warn').filter((line) => line.includes('"directory":"d"')).length, 1, 'named once')
  },
)
