import t from 'tap'
import { hanging, mounted } from './mounted.ts'

interface Line {
  readonly operation: string
  readonly path?: string
  readonly newPath?: string
  readonly errno?: string
  readonly durationMs?: number
  readonly offset?: number
  readonly length?: number
  readonly unique?: number
}

await t.test('each request is told with its path, time and outcome', async (t) => {
  const trace: Line[] = []
  const { fs, sh } = await mounted(t, { trace })
  fs.put('d/old', 'secret bytes')
  const script = 'cat d/old && printf "more secret" >> d/old && mv d/old d/new && rm d/new && ! cat d/gone'
  t.equal((await sh(script)).code, 0)
  const told = (operation: string, path: string): Line | undefined =>
    trace.find((line) => line.operation === operation && line.path === path)
  t.match(told('lookup', 'd/old'), { unique: Number, node: Number, pid: Number, durationMs: Number })
  t.equal(told('lookup', 'd/old')?.errno, undefined)
  t.match(told('read', 'd/old'), { offset: 0, length: Number })
  t.match(told('write', 'd/old'), { offset: 12, length: 11 })
  t.match(
    trace.find(({ operation }) => operation.startsWith('rename')),
    { path: 'd/old', newPath: 'd/new' },
  )
  t.ok(told('unlink', 'd/new'))
  await sh('ln -s x d/link')
  t.match(told('symlink', 'd'), { errno: 'EPERM' }, 'also what is refused unseen')
  t.notMatch(JSON.stringify(trace), /secret/)
})

await t.test('a failure is told by its name, and an interrupt by the request that it ends', async (t) => {
  const trace: Line[] = []
  const { fs, start } = await mounted(t, { trace })
  fs.put('file', 'x')
  const { reached, hook } = hanging()
  fs.hooks.set('open', hook)
  const running = start('exec cat file')
  await reached
  running.child.kill('SIGINT')
  await running.ended
  const open = trace.find(({ operation }) => operation === 'open')
  t.match(open, { path: 'file', errno: 'EINTR' })
  t.match(
    trace.find(({ operation }) => operation === 'interrupt'),
    { unique: open?.unique },
  )
})

await t.test('nothing is put together for a trace that nobody wants', async (t) => {
  const { fs, sh } = await mounted(t)
  fs.pathOf = () => t.fail('nobody asked') as never
  fs.put('file', 'x')
  t.equal((await sh('cat file; ls')).stdout, 'xfile\n')
})
