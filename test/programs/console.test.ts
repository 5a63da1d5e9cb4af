/** Following the console with the programs that people use for it. */
import t from 'tap'
import { agent, session } from '../emulator-server.ts'
import { mountEmulator } from '../mount/rig.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })

await t.test('less +F .logs shows lines as they come', needs('less'), async (t) => {
  mounted.emulator.appendLog(agent, session, ['a first line'])
  const less = mounted.startSh(`exec script -qec 'stty cols 400 rows 50; less +F .logs' /dev/null`)
  await less.until((screen) => screen.includes('a first line'))
  mounted.emulator.appendLog(agent, session, ['a later line'])
  t.match(await less.until((screen) => screen.includes('a later line')), 'a first line')
  less.child.kill('SIGKILL')
  await less.ended
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
