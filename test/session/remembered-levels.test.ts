import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLogger } from '../../src/log.ts'
import { RememberedLevels } from '../../src/session/remembered-levels.ts'

const levels = { reads: 96, questions: 32, writes: 24 }

void t.test('what an endpoint was found to bear is known to the next mount of it', (t) => {
  const root = join(t.testdir(), 'cache')
  const of = (endpoint: string): RememberedLevels => new RememberedLevels(root, endpoint, silentLogger)
  t.equal(of('https://one.example/p').get(), undefined)
  of('https://one.example/p').set(levels)
  of('https://other.example/p').set({ ...levels, writes: 1 })
  t.strictSame(of('https://one.example/p').get(), levels)
  for (let count = 0; count < 60; count++) of(`https://${count}.example/p`).set(levels)
  t.equal(of('https://one.example/p').get(), undefined, 'the oldest are forgotten')
  t.equal(Object.keys(JSON.parse(readFileSync(join(root, 'levels.json'), 'utf8')) as object).length, 50)
  t.end()
})

void t.test('a file that says nonsense is as good as none', (t) => {
  const root = t.testdir()
  const remembered = new RememberedLevels(root, 'e', silentLogger)
  for (const text of ['', 'x', '[]', '{"e":{"reads":0,"questions":1,"writes":1}}', '{"e":{"reads":1e9}}']) {
    writeFileSync(join(root, 'levels.json'), text)
    t.equal(remembered.get(), undefined, text)
  }
  remembered.set(levels)
  t.strictSame(remembered.get(), levels)
  t.end()
})
