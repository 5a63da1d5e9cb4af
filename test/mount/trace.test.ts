/** `--trace FILE`: what the kernel asked and what the service was asked, for a bug report. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator, workplace } from './rig.ts'

interface Line {
  readonly msg: string
  readonly level: string
  readonly operation?: string
  readonly verb?: string
  readonly path?: string
}

await t.test("a trace has requests and calls, no token, no content, and is its owner's alone", async (t) => {
  const { root } = workplace(t)
  const file = join(root, 'trace')
  fs.writeFileSync(file, 'of an earlier mount', { mode: 0o644 })
  const args = ['--trace', file, '--log-level', 'warn', '--isolation-key', 'key-in-confidence']
  const mounted = await mountEmulator(t, { args })
  fs.writeFileSync(join(mounted.emulator.home, 'theirs'), 'what the agent wrote')
  await mounted.ok('mkdir d; echo what we wrote > d/ours; until cat theirs; do sleep 0.1; done; ! cat d/gone')
  await mounted.sync()
  const text = fs.readFileSync(file, 'utf8')
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const requests = lines.filter(({ msg }) => msg === 'a request of the kernel')
  const calls = lines.filter(({ msg }) => msg === 'a call of the service')
  t.match(
    requests.find(({ operation, path }) => operation === 'create' && path === 'd/ours'),
    { level: 'trace', node: Number, durationMs: Number },
  )
  t.match(
    requests.find(({ operation, path }) => operation === 'unlink' || path === 'd/gone'),
    { operation: 'lookup' },
  )
  t.match(
    calls.find(({ verb, path }) => verb === 'upload' && path?.endsWith('d/ours')),
    { status: 201, durationMs: Number, bytesOut: Number },
  )
  t.ok(calls.some(({ verb, path }) => verb === 'download' && path?.endsWith('theirs')))
  t.notMatch(text, /what we wrote|what the agent wrote|key-in-confidence/)
  t.notOk(text.includes(mounted.emulator.token), 'no token')
  t.equal(fs.statSync(file).mode & 0o777, 0o600)
  t.strictSame(mounted.logged('trace'), [], 'the log is as it would be without')
})

await t.test(
  'a small file, or one of ours, that was only read is closed without a question, any other with one',
  async (t) => {
    const { root } = workplace(t)
    const file = join(root, 'trace')
    const mounted = await mountEmulator(t, { args: ['--trace', file] })
    for (const [name, bytes] of Object.entries({ small: 4096, big: 100_000 }))
      fs.writeFileSync(join(mounted.emulator.home, name), 'x'.repeat(bytes))
    await mounted.ok('cat small small big; echo ours > own; cat own')
    const closed = (name: string): readonly string[] =>
      fs
        .readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line)
        .filter(({ msg, path }) => msg === 'a request of the kernel' && path === name)
        .flatMap(({ operation = '' }) => (/^(open|create|flush|release)$/.test(operation) ? [operation] : []))
    t.strictSame(closed('small'), ['open', 'release', 'open', 'release'])
    t.strictSame(closed('big'), ['open', 'flush', 'release'])
    /* a shell has it twice for a moment */
    t.strictSame(closed('own'), ['create', 'flush', 'flush', 'release', 'open', 'release'])
  },
)

await t.test('a trace that cannot be written is said before anything is mounted', async (t) => {
  const place = workplace(t)
  const args = ['--trace', join(place.root, 'missing', 'trace'), 'agent/session', place.mountPoint()]
  const ended = await place.command(args, {
    env: { ...place.env, FOUNDRY_PROJECT_ENDPOINT: 'https://example.org' },
  })
  t.equal(ended.code, 1)
  t.match(ended.stderr, /ENOENT.*missing\/trace/)
})
