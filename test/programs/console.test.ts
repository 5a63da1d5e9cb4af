/** Following the console with the programs that people use for it. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { agent, session } from '../emulator-server.ts'
import type { Running } from '../mount/programs.ts'
import { mountEmulator } from '../mount/rig.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })

/** What less writes when it has shown all there is, and waits for more. */
const isWaiting = /Waiting for data\.\.\. \(interrupt to abort\)\S*$/

await t.test('less +F .logs shows lines as they come', needs('less'), async (t) => {
  const follow = (file: string): Running =>
    mounted.startSh(`exec script -qec 'stty cols 400 rows 50; less +F ${file}' /dev/null`)
  const shows = (less: Running, line: string): Promise<string> =>
    less.until((screen) => screen.includes(line) && isWaiting.test(screen))
  mounted.emulator.appendLog(agent, session, ['a first line'])
  /* the same less on a local file that holds what the console does, and grows by the same lines */
  const local = join(mounted.root, 'console.log')
  const said = await mounted.ok('cat .logs')
  writeFileSync(local, said)
  const [onMount, onDisk] = [follow('.logs'), follow(local)]
  await Promise.all([shows(onMount, 'a first line'), shows(onDisk, 'a first line')])
  mounted.emulator.appendLog(agent, session, ['a later line'])
  const shown = await shows(onMount, 'a later line')
  appendFileSync(local, (await mounted.ok('cat .logs')).slice(said.length))
  t.equal(shown, await shows(onDisk, 'a later line'), 'the terminal shows the same, byte for byte')
  for (const { child, ended } of [onMount, onDisk]) {
    child.kill('SIGKILL')
    await ended
  }
})

await t.test('tail -F .logs and grep --line-buffered follow, head ends', async (t) => {
  const tail = mounted.startSh(`exec tail -n +1 -F .logs`)
  await tail.until((text) => text.includes('a first line'))
  mounted.emulator.appendLog(agent, session, ['the last line'])
  t.match(await tail.until((text) => text.includes('the last line')), 'a later line')
  tail.child.kill('SIGTERM')
  await tail.ended
  t.match(await mounted.ok('grep -c line .logs'), /[1-9]/)
})
