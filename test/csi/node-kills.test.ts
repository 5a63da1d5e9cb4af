/**
 * A node whose driver and daemon end at random under programs: nobody sees an error, nothing is lost, and nothing is left.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Random } from '../write-back/random.ts'
import { startLoad } from './node-load.ts'
import { eventually, type Node, rootWithFuse, startNode } from './node-rig.ts'

const kills = Number(process.env['CSI_KILLS'] ?? 4)
const seed = Number(process.env['CSI_SEED'] ?? Date.now() % 100_000)
const volumes = Number(process.env['CSI_VOLUMES'] ?? 2)
const timeout = 120_000 + kills * 20_000

t.setTimeout(timeout)

const pods = Array.from({ length: volumes }, (_, index) => `pod${index}`)
const ways = ['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function freeze(pid: number, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await pause(ms)
  process.kill(pid, 'SIGCONT')
}

async function endDriver(node: Node, random: Random): Promise<string> {
  const way = random.pick(ways)
  if (way === 'SIGSTOP') {
    await freeze(node.driver, random.below(1500))
    return `driver ${way}`
  }
  await node.endDriver(way)
  await pause(random.below(500))
  await node.startDriver()
  return `driver ${way}`
}

async function endDaemon(node: Node, random: Random): Promise<string> {
  const way = random.pick(ways)
  const victim = random.pick(node.daemons())
  if (way === 'SIGSTOP') await freeze(victim, random.below(1500))
  else {
    const before = node.offers()
    process.kill(victim, way)
    await eventually(() => {
      const offers = node.offers()
      return offers.length === volumes && offers.some((offer) => !before.includes(offer))
    }, 'another daemon')
  }
  return `daemon ${way}`
}

async function killAtRandom(t: Test, node: Node): Promise<void> {
  const random = new Random(seed)
  const loads = pods.map((pod) => startLoad(t, node, pod, timeout))
  const told: string[] = []
  for (let done = 0; done < kills; done++) {
    /* at times the one before is not yet over */
    if (random.below(3) > 0) await Promise.all(loads.map((load) => load.goesOn()))
    else await pause(random.below(700))
    told.push(await (random.below(2) === 0 ? endDriver(node, random) : endDaemon(node, random)))
    if (random.below(4) === 0)
      t.strictSame(await node.publish({ pod: pods[0] ?? '', serviceAccount: 'account0' }), {})
    if (/a mount is lost/.test(node.log())) break
  }
  for (const load of loads) await load.stop()
  t.notMatch(node.log(), /a mount is lost/, told.slice(-5).join(', '))
}

void t.test(`${kills} ends of driver or daemon, seed ${seed}`, { ...rootWithFuse, timeout }, async (t) => {
  const node = await startNode(t)
  for (const [index, pod] of pods.entries())
    t.strictSame(await node.publish({ pod, serviceAccount: `account${index}` }), {})
  await killAtRandom(t, node)
  for (const pod of pods) {
    const text = await node.run(
      pod,
      `seq 1 1000 > last-of-${pod} && sync last-of-${pod} && cat last-of-${pod}`,
    )
    t.equal(readFileSync(join(node.emulator.home, `last-of-${pod}`), 'utf8'), text)
    t.strictSame(await node.unpublish(pod), {})
  }
  t.strictSame(
    {
      mounts: node.mounts(),
      daemons: node.daemons(),
      run: readdirSync(join(node.directory, 'run')),
      state: readdirSync(join(node.directory, 'state')),
      kept: /ChangesKept/.test(node.log()),
    },
    { mounts: [], daemons: [], run: [], state: [], kept: false },
  )
})
