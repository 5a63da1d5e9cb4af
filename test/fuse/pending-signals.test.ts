import { constants } from 'node:os'
import t from 'tap'
import { isDeepAsleep, mayEndWait, statusFromProc } from '../../src/fuse/pending-signals.ts'

type Name = keyof typeof constants.signals | number

function mask(names: readonly Name[]): string {
  const numbers = names.map((name) => (typeof name === 'number' ? name : constants.signals[name]))
  return numbers
    .reduce((sum, number) => sum | (1n << BigInt(number - 1)), 0n)
    .toString(16)
    .padStart(16, '0')
}

interface Signals {
  readonly own?: readonly Name[]
  readonly shared?: readonly Name[]
  readonly blocked?: readonly Name[]
  readonly ignored?: readonly Name[]
  readonly handled?: readonly Name[]
}

/** As proc(5) describes it. */
function status({ own = [], shared = [], blocked = [], ignored = [], handled = [] }: Signals): string {
  return [
    'Name:\tSigPnd: ffffffffffffffff',
    'State:\tD (disk sleep)',
    'SigQ:\t1/3908',
    `SigPnd:\t${mask(own)}`,
    `ShdPnd:\t${mask(shared)}`,
    `SigBlk:\t${mask(blocked)}`,
    `SigIgn:\t${mask(ignored)}`,
    `SigCgt:\t${mask(handled)}`,
    'CapInh:\t0000000000000000',
    '',
  ].join('\n')
}

const stopping = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const harmless = ['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH'] as const
const pausing = ['SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU'] as const
const deadly = ['SIGALRM', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE', 'SIGSEGV', 'SIGABRT', 'SIGXCPU', 34, 64] as const

void t.test('what is meant to stop a program ends a wait, handled or not', (t) => {
  for (const name of stopping) {
    t.ok(mayEndWait(status({ shared: [name] })), name)
    t.ok(mayEndWait(status({ own: [name], handled: [name] })), `${name}, handled`)
    t.notOk(mayEndWait(status({ shared: [name], blocked: [name], handled: [name] })), `${name}, blocked`)
    t.notOk(mayEndWait(status({ shared: [name], ignored: [name] })), `${name}, ignored`)
  }
  t.ok(
    mayEndWait(status({ own: ['SIGKILL'] })),
    'SIGKILL, which every thread of a program has that is to end',
  )
  t.end()
})

void t.test('what would end the program ends a wait, what it handles does not', (t) => {
  for (const name of deadly) {
    t.ok(mayEndWait(status({ own: [name] })), String(name))
    t.notOk(mayEndWait(status({ own: [name], handled: [name] })), `${name}, handled`)
    t.notOk(mayEndWait(status({ shared: [name], handled: [name], ignored: ['SIGINT'] })), `${name}, handled`)
    t.notOk(mayEndWait(status({ own: [name], blocked: [name] })), `${name}, blocked`)
  }
  t.end()
})

void t.test('what nobody has asked for, and a pause, end nothing', (t) => {
  for (const name of [...harmless, ...pausing]) {
    t.notOk(mayEndWait(status({ own: [name] })), name)
    t.notOk(mayEndWait(status({ shared: [name], handled: [name] })), `${name}, handled`)
  }
  t.notOk(mayEndWait(status({})), 'nothing at all: a debugger, a frozen container')
  t.ok(mayEndWait(status({ shared: ['SIGALRM', 'SIGINT'], handled: ['SIGALRM', 'SIGINT'] })), 'among others')
  t.end()
})

void t.test('the status of a thread is that of proc(5)', (t) => {
  const statusOf = statusFromProc()
  const own = statusOf(process.pid) ?? ''
  t.match(own, /^SigPnd:\t[0-9a-f]{16}$/m)
  t.match(own, /^ShdPnd:\t[0-9a-f]{16}$/m)
  t.match(own, /^SigBlk:\t[0-9a-f]{16}$/m)
  t.match(own, /^SigIgn:\t[0-9a-f]{16}$/m)
  t.match(own, /^SigCgt:\t[0-9a-f]{16}$/m)
  t.notOk(mayEndWait(own))
  t.notOk(isDeepAsleep(own), 'it runs')
  t.ok(isDeepAsleep(status({})))
  t.equal(statusOf(2 ** 31), undefined, 'there is no such thread')
  t.end()
})
