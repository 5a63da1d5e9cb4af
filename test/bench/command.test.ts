import t from 'tap'
import { CommandError, modes, parseCommand, usage } from '../../scripts/bench/command.ts'

void t.test('by itself it compares, over TLS and the usual link', (t) => {
  t.match(parseCommand([]), {
    mode: 'comparison',
    rounds: 3,
    oneWayMs: 20,
    bitsPerSecond: 100e6,
    tls: true,
    write: false,
  })
  t.equal(parseCommand(['--plain'])?.tls, false)
  t.equal(parseCommand(['--help']), undefined)
  t.end()
})

void t.test('each mode is an option, and the help speaks of it', (t) => {
  for (const mode of modes) {
    t.equal(parseCommand([`--${mode}`])?.mode, mode)
    t.match(usage, `--${mode} `)
  }
  t.equal(parseCommand(['--start'])?.rounds, 7)
  t.end()
})

void t.test('what cannot be meant is refused', (t) => {
  for (const argv of [
    ['--nonsense'],
    ['--scale', '--kernel'],
    ['--only', 'nothing'],
    ['--party', 'nobody'],
    ['--rounds', '0'],
    ['--delay', 'x'],
  ])
    t.throws(() => parseCommand(argv), CommandError, argv.join(' '))
  t.end()
})

void t.test('a newer rclone is where it is said to be', (t) => {
  const newest = parseCommand(['--rclone', '/nowhere/rclone'])?.parties.find(
    ({ name }) => name === 'rclone-newest',
  )
  t.match(newest?.missing(), '/nowhere/rclone')
  t.end()
})
