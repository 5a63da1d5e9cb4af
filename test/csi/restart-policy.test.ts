/**
 * When a daemon that has ended is followed by another, and when no more.
 */
import t from 'tap'
import { RestartPolicy } from '../../src/csi/restart-policy.ts'

void t.test('the first two ends cost no pause, later ones a longer each time, the ninth ends it', (t) => {
  const policy = new RestartPolicy()
  const pauses = Array.from({ length: 9 }, (_, index) => {
    policy.launched(index * 10_000)
    return policy.ended(index * 10_000 + 5000)
  })
  t.strictSame(pauses, [0, 0, 1000, 1500, 2000, 2500, 3000, 3500, undefined])
  t.end()
})

void t.test('one that served begins the count anew, whatever came before', (t) => {
  const policy = new RestartPolicy()
  for (let time = 0; time < 1_000_000; time += 10_000) {
    policy.launched(time)
    policy.served()
    t.equal(policy.ended(time + 5000), 0)
  }
  t.end()
})

void t.test('daemons that serve and end at once are given up after thirty in a row', (t) => {
  const policy = new RestartPolicy()
  const lives = (livesMs: number, time: number): number | undefined => {
    policy.launched(time)
    policy.served()
    return policy.ended(time + livesMs)
  }
  for (let turn = 0; turn < 29; turn++) t.equal(lives(2000, turn * 2000), 0)
  t.equal(lives(2001, 100_000), 0, 'one that lived longer')
  for (let turn = 0; turn < 29; turn++) t.equal(lives(0, 200_000), 0)
  t.equal(lives(0, 200_000), undefined)
  t.end()
})
