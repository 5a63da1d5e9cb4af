/**
 * The agent changes what programs have changed on our side and what is not on the service yet: whose bytes keep the
 * name, and where the others are. Layer: test; with `modified_time` always 0, and real.
 */
import * as fs from 'node:fs'
import t, { type Test } from 'tap'
import { onEachScene, type Scene } from './scene.ts'

await onEachScene(t, dirty)

async function dirty(t: Test, scene: Scene, modifiedTime: 'zero' | 'real'): Promise<void> {
  const conflicts = (): string[] =>
    fs.readdirSync(scene.mounted.emulator.home).filter((name) => name.includes('.conflict-'))

  await t.test('replaced while dirty: ours takes the name, theirs is saved beside it', async (t) => {
    fs.writeFileSync(scene.at('both'), 'the base\n')
    await scene.play(
      `until(lambda: read('both') == 'the base\\n'); fd = os.open('both', os.O_WRONLY | os.O_APPEND); os.write(fd, b'ours\\n'); time.sleep(0.3)
CHANGE
time.sleep(0.4); os.write(fd, b'more\\n'); os.close(fd)
print(read('both') == 'the base\\nours\\nmore\\n')`,
      () => fs.writeFileSync(scene.at('both'), 'theirs, of another size\n'),
    )
    await scene.mounted.sync()
    t.equal(scene.text('both'), 'the base\nours\nmore\n')
    const saved = conflicts().filter((name) => name.startsWith('both.'))
    t.equal(saved.length, 1)
    t.equal(scene.text(saved[0] ?? 'both'), 'theirs, of another size\n')
  })

  const sameSize = modifiedTime === 'real' ? 'theirs is saved beside it' : 'not seen, the last writer wins'
  await t.test(`replaced by the same size while dirty: ${sameSize}`, async (t) => {
    fs.writeFileSync(scene.at('equal'), 'base\n')
    fs.utimesSync(scene.at('equal'), 1_700_000_000, 1_700_000_000)
    await scene.play(
      `until(lambda: read('equal') == 'base\\n'); fd = os.open('equal', os.O_WRONLY); os.write(fd, b'ours\\n'); time.sleep(0.3)
CHANGE
time.sleep(0.4); os.close(fd)`,
      () => fs.writeFileSync(scene.at('equal'), 'them\n'),
    )
    await scene.mounted.sync()
    t.equal(scene.text('equal'), 'ours\n')
    t.equal(conflicts().filter((name) => name.startsWith('equal.')).length, modifiedTime === 'real' ? 1 : 0)
  })

  await t.test('created while ours is new: ours takes the name, theirs is saved beside it', async (t) => {
    await scene.play(
      `print(os.path.exists('same')); fd = os.open('same', os.O_WRONLY | os.O_CREAT | os.O_EXCL); os.write(fd, b'ours')
CHANGE
time.sleep(0.4); print(read('same')); os.close(fd)`,
      () => fs.writeFileSync(scene.at('same'), 'theirs, made meanwhile'),
    )
    await scene.mounted.sync()
    t.equal(scene.text('same'), 'ours')
    const saved = conflicts().filter((name) => name.startsWith('same.'))
    t.strictSame(saved.map(scene.text.bind(scene)), ['theirs, made meanwhile'])
  })

  await t.test('grown while dirty: ours takes the name, theirs is saved beside it', async (t) => {
    fs.writeFileSync(scene.at('trace'), 'one\n')
    const said = await scene.play(
      `until(lambda: read('trace') == 'one\\n'); fd = os.open('trace', os.O_WRONLY | os.O_APPEND); os.write(fd, b'ours\\n')
CHANGE
time.sleep(0.4); print(read('trace').split()); os.close(fd)`,
      () => fs.appendFileSync(scene.at('trace'), 'theirs\n'),
    )
    t.strictSame(said, ["['one', 'ours']"])
    await scene.mounted.sync()
    t.equal(scene.text('trace'), 'one\nours\n')
    const saved = conflicts().filter((name) => name.startsWith('trace.'))
    t.strictSame(saved.map(scene.text.bind(scene)), ['one\ntheirs\n'])
  })

  await t.test('deleted while dirty: ours comes back, with its directory', async (t) => {
    fs.mkdirSync(scene.at('home-d'))
    fs.writeFileSync(scene.at('home-d/file'), 'base')
    const said = await scene.play(
      `until(lambda: read('home-d/file') == 'base'); fd = os.open('home-d/file', os.O_WRONLY); os.write(fd, b'ours'); time.sleep(0.1)
CHANGE
time.sleep(0.5); print(read('home-d/file'), os.listdir('home-d')); os.close(fd)`,
      () => fs.rmSync(scene.at('home-d'), { recursive: true }),
    )
    t.strictSame(said, ["ours ['file']"])
    await scene.mounted.sync()
    t.equal(scene.text('home-d/file'), 'ours')
  })

  await t.test(
    'turned into a directory while dirty: ours is shown, kept and told until it is moved away',
    async (t) => {
      fs.writeFileSync(scene.at('turned'), 'base')
      const hold = scene.mounted.emulator.hold({ verb: 'upload', path: 'turned' })
      const said = await scene.play(
        `until(lambda: read('turned') == 'base'); fd = os.open('turned', os.O_WRONLY); os.write(fd, b'ours')
CHANGE
print(error(os.fsync, fd), read('turned'), error(os.listdir, 'turned')); time.sleep(0.4); print(read('turned'))`,
        () => {
          fs.rmSync(scene.at('turned'))
          fs.mkdirSync(scene.at('turned'))
          fs.writeFileSync(scene.at('turned/inner'), 'theirs')
          hold.release()
        },
      )
      t.strictSame(said, ['EIO ours ENOTDIR', 'ours'])
      t.match(
        (await scene.mounted.command(['status', scene.mounted.directory])).stdout,
        /turned +4 B +parked/,
      )
      await scene.mounted.ok(
        'mv turned ours-instead; until test -d turned; do sleep 0.1; done; cat turned/inner',
      )
      await scene.mounted.sync()
      t.strictSame([scene.text('turned/inner'), scene.text('ours-instead')], ['theirs', 'ours'])
    },
  )

  await t.test(
    'its directory turned into a file while dirty: ours is shown, kept and told until it is moved away',
    async (t) => {
      fs.mkdirSync(scene.at('home-e'))
      fs.writeFileSync(scene.at('home-e/file'), 'base')
      const hold = scene.mounted.emulator.hold({ verb: 'upload', path: 'home-e/file' })
      fs.writeFileSync(scene.at('home-e/other'), 'clean')
      const said = await scene.play(
        `until(lambda: read('home-e/file') == 'base'); fd = os.open('home-e/file', os.O_WRONLY); os.write(fd, b'ours')
CHANGE
print(error(os.fsync, fd)); time.sleep(0.4); print(read('home-e/file'), os.listdir('home-e'), error(os.stat, 'home-e/other'))`,
        () => {
          fs.rmSync(scene.at('home-e'), { recursive: true })
          fs.writeFileSync(scene.at('home-e'), 'theirs')
          hold.release()
        },
      )
      t.strictSame(said, ['EIO', "ours ['file'] ENOENT"])
      await scene.mounted.ok(
        'mv home-e moved-out; until test -f home-e; do sleep 0.1; done; grep theirs home-e',
      )
      await scene.mounted.sync()
      t.strictSame([scene.text('home-e'), scene.text('moved-out/file')], ['theirs', 'ours'])
    },
  )

  await t.test('filled behind our rmdir: the directory is shown again', async (t) => {
    fs.mkdirSync(scene.at('filled'))
    const said = await scene.play(
      `until(lambda: os.path.isdir('filled')); os.listdir('filled')
os.rmdir('filled')
CHANGE
until(lambda: os.path.exists('filled/theirs')); print(read('filled/theirs'))`,
      () => fs.writeFileSync(scene.at('filled/theirs'), 'kept'),
    )
    t.strictSame(said, ['kept'])
  })
}
