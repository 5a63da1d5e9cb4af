/** Every wait ends: by Ctrl-C at once, and what failed to its caller changes nothing afterwards. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBehaviours } from './rig.ts'

const { startSh, ok, sync, emulator } = await startBehaviours(t)
const put = (name: string, bytes: string | Buffer): void => fs.writeFileSync(join(emulator.home, name), bytes)

/** Until then the mount may go by a listing from before. */
const seen = (name: string): Promise<string> => ok(`until test -e ${name}; do sleep 0.1; done`)

/** As the terminal does at Ctrl-C, once the program waits. */
async function interrupted(
  script: string,
  waits: Promise<void>,
): Promise<{ code: number | null; signal: string | null }> {
  const running = startSh(`exec ${script}`)
  await waits
  running.child.kill('SIGINT')
  return running.ended
}

await t.test('Ctrl-C ends a read whose download is stalled', async (t) => {
  put('stalled', Buffer.alloc(100_000, 'x'))
  await seen('stalled')
  const hold = emulator.hold({ verb: 'download', path: 'stalled' })
  const ended = await interrupted('cat stalled', hold.reached)
  t.equal(ended.signal, 'SIGINT')
  hold.release()
  t.equal(await ok('wc -c < stalled'), '100000\n', 'and the next read goes through')
})

await t.test('Ctrl-C ends a look-up whose listing is stalled', async (t) => {
  fs.mkdirSync(join(emulator.home, 'listed'))
  put('listed/file', 'x')
  await seen('listed')
  const hold = emulator.hold({ verb: 'list', path: 'listed' })
  const ended = await interrupted('cat listed/file', hold.reached)
  t.equal(ended.signal, 'SIGINT')
  hold.release()
  t.equal(await ok('cat listed/file'), 'x')
})

await t.test('Ctrl-C ends an fsync whose upload is stalled; the upload goes on', async (t) => {
  const hold = emulator.hold({ verb: 'upload', path: 'synced' })
  const code =
    "import os; fd = os.open('synced', os.O_CREAT | os.O_WRONLY); os.write(fd, b'kept'); os.fsync(fd)"
  const ended = await interrupted(`python3 -c "${code}"`, hold.reached)
  t.ok(ended.signal === 'SIGINT' || ended.code === 130 || ended.code === 1, 'KeyboardInterrupt')
  hold.release()
  await sync()
  t.equal(fs.readFileSync(join(emulator.home, 'synced'), 'utf8'), 'kept')
})

await t.test(
  'Ctrl-C ends the first write to a file whose base is stalled, and changes nothing',
  async (t) => {
    put('base', 'as it was')
    await seen('base')
    const hold = emulator.hold({ verb: 'download', path: 'base' })
    const code = "import os; fd = os.open('base', os.O_WRONLY); os.write(fd, b'changed')"
    const ended = await interrupted(`python3 -c "${code}"`, hold.reached)
    t.ok(ended.signal === 'SIGINT' || ended.code === 130 || ended.code === 1, 'KeyboardInterrupt')
    hold.release()
    await sync()
    t.equal(await ok('cat base'), 'as it was')
    t.equal(fs.readFileSync(join(emulator.home, 'base'), 'utf8'), 'as it was')
  },
)

await t.test('a stalled read leaves everything beside it usable', async (t) => {
  fs.mkdirSync(join(emulator.home, 'busy'))
  for (let at = 0; at < 20; at++) put(`busy/stuck-${at}`, Buffer.alloc(50_000, 'x'))
  put('busy/free', 'free')
  await seen('busy/free')
  const hold = emulator.hold({ verb: 'download', path: /stuck/ })
  const readers = Array.from({ length: 20 }, (_, at) => startSh(`exec cat busy/stuck-${at}`))
  await hold.reached
  t.equal(await ok('cat busy/free; mv busy moved; ls moved | wc -l; mv moved busy'), 'free21\n')
  for (const reader of readers) reader.child.kill('SIGINT')
  const ended = await Promise.all(readers.map((reader) => reader.ended))
  hold.release()
  t.strictSame([...new Set(ended.map(({ signal }) => signal))], ['SIGINT'])
})
