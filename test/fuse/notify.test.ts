import t from 'tap'
import { eventually, hanging, mounted } from './mounted.ts'

const cached = { entryTtlMs: 3_600_000, attributesTtlMs: 3_600_000, keepCache: true }

void t.test('content is cached until it is invalidated', async (t) => {
  const { sh, fs, served } = await mounted(t, cached)
  const file = fs.put('f', 'old')
  t.equal((await sh('cat f; cat f')).stdout, 'oldold')
  t.equal(fs.calls['read'], 1, 'pages were kept')
  fs.put('f', 'newer')
  t.equal((await sh('cat f')).stdout, 'old')
  served.kernelCache.invalidateNode(file.id, 0, 0)
  t.ok(await eventually(async () => (await sh('cat f')).stdout === 'newer'))
})

void t.test('attributes alone can be invalidated, pages stay', async (t) => {
  const { sh, fs, served } = await mounted(t, cached)
  const file = fs.put('f', 'same')
  await sh('cat f')
  file.mode = 0o600
  t.equal((await sh('stat -c %a f')).stdout, '644\n')
  served.kernelCache.invalidateNode(file.id, -1, 0)
  t.ok(await eventually(async () => (await sh('stat -c %a f')).stdout === '600\n'))
  await sh('cat f')
  t.equal(fs.calls['read'], 1)
})

void t.test('names come and go when they are invalidated', async (t) => {
  const { sh, fs, served } = await mounted(t, cached)
  fs.put('here', 'x')
  t.equal((await sh('test -e here && ! test -e later')).code, 0)
  fs.put('later', 'x')
  fs.root.children.delete('here')
  t.equal((await sh('test -e here && ! test -e later')).code, 0, 'remembered')
  served.kernelCache.invalidateEntry(1, 'here')
  served.kernelCache.invalidateEntry(1, 'later')
  t.ok(await eventually(async () => (await sh('! test -e here && test -e later')).code === 0))
})

void t.test('a shell keeps its working directory when the name is invalidated', async (t) => {
  const { fs, served, start } = await mounted(t, cached)
  fs.put('d/f', 'x')
  const lookups = (): number => fs.calls['lookup'] ?? 0
  const { child, ended } = start(
    'cd d && echo in && while ! test -e go; do sleep 0.05; done; /bin/pwd && cat f',
  )
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  served.kernelCache.invalidateEntry(1, 'd')
  const before = lookups()
  fs.put('d/go', '')
  served.kernelCache.invalidateEntry(fs.root.children.get('d')!.id, 'go')
  const { stdout, code } = await ended
  t.equal(code, 0)
  t.match(stdout, /\/d\nx$/)
  t.ok(lookups() > before)
})

void t.test(
  'an invalidation waits for the request that holds the lock, and blocks nobody meanwhile',
  async (t) => {
    const { sh, fs, served, start } = await mounted(t, cached)
    fs.put('d/known', 'x')
    fs.put('other', 'y')
    await sh('stat d')
    const { hook, reached, letGo } = hanging()
    let first = true
    fs.hooks.set('lookup', (caller) => {
      if (!first) return undefined
      first = false
      return hook(caller)
    })
    const { ended } = start('cat d/known')
    await reached
    const directory = fs.root.children.get('d')!.id
    for (let i = 0; i < 20; i++) served.kernelCache.invalidateEntry(directory, `name ${i}`)
    served.kernelCache.invalidateNode(directory, 0, 0)
    t.equal((await sh('cat other')).stdout, 'y', 'the loop answers')
    letGo()
    t.equal((await ended).stdout, 'x')
  },
)

void t.test('what the kernel does not know is not an error', async (t) => {
  const { sh, served, errors } = await mounted(t)
  served.kernelCache.invalidateNode(12345, 0, 0)
  served.kernelCache.invalidateEntry(12345, 'x')
  served.kernelCache.invalidateEntry(1, 'x'.repeat(255))
  t.equal((await sh('ls')).code, 0)
  t.same(errors, [])
})
