/**
 * `mount-session emulator`: the REST surface of the service over a local directory. Layer: cli.
 *
 * Invariant: prints its line once it listens and not before; Ctrl-C ends it with everything on disk.
 */
import { watchFile, unwatchFile } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { StringDecoder } from 'node:string_decoder'
import { Command } from 'commander'
import type { Emulator, EmulatorOptions } from '../emulator/emulator.ts'
import { options as table } from '../options/table.ts'
import { count, duration, oneOf, size } from '../options/values.ts'
import { parseCommand, parseValue } from './command-line.ts'
import { parseAddress } from './session-arguments.ts'
import { CommandFailure } from './report-error.ts'
import { UsageError } from './usage-error.ts'

interface Flags {
  readonly host?: string
  readonly port?: string
  readonly data: string
  readonly token?: string
  readonly seed?: readonly string[]
  readonly empty?: boolean
  readonly latency?: string
  readonly pageSize?: string
  readonly tls?: boolean
  readonly json?: boolean
  readonly logFrom?: string
  readonly heartbeat?: string
  readonly modifiedTime?: string
  readonly extras?: boolean
  readonly maxFileSize?: string
  readonly requestsPerSecond?: string
  readonly idleAfter?: string
  readonly wake?: string
}

function emulatorCommand(): Command {
  const several = (value: string, before: readonly string[] | undefined): readonly string[] => [
    ...(before ?? []),
    value,
  ]
  return new Command('mount-session emulator')
    .description(
      'Serves the REST surface of the service from a local directory, for tests and for trying things out.',
    )
    .requiredOption('--data <DIR>', 'where agents, sessions and files are kept; made when missing')
    .option('--host <HOST>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <N>', 'port to listen on; 0 takes a free one (default: 0)')
    .option('--token <TOKEN>', 'the bearer token to accept (default: a random one)')
    .option(
      '--seed <AGENT/SESSION>',
      'make this session if it does not exist; several times for several',
      several,
    )
    .option('--empty', 'seed without the small agent workspace')
    .option('--heartbeat <TIME>', 'append a line to the console of the seeded sessions this often')
    .option(
      '--log-from <FILE>',
      'append the lines of FILE, as it grows, to the console of the seeded sessions; - is stdin',
    )
    .option('--latency <MS>', 'milliseconds added before every request is looked at (default: 0)')
    .option('--page-size <N>', 'no page of a listing is longer (default: 100)')
    .option(
      '--max-file-size <SIZE>',
      `larger uploads are refused with 413 (default: ${table.maxFileBytes.default})`,
    )
    .option('--modified-time <real|zero>', 'what listings say of modification times (default: zero)')
    .option('--extras', 'serve files/mkdir and files/stat as well')
    .option('--requests-per-second <N>', 'more are refused with 429 (default: no limit)')
    .option('--idle-after <TIME>', 'sessions without a call for this long go to sleep (default: never)')
    .option('--wake <TIME>', 'how long a sleeping session answers 424 while it wakes (default: 0)')
    .option('--tls', 'serve https with a generated certificate')
    .option('--json', 'print one line of JSON, not one for reading: endpoint, token, certificate, data, pid')
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = emulatorCommand()
  const excess = parseCommand(command, argv)
  if (excess.length > 0) {
    throw new UsageError(`${excess.join(' ')}: the emulator takes options only`, 'emulator')
  }
  const flags = command.opts<Flags>()
  const options = emulatorOptions(flags)
  if (flags.logFrom !== undefined && options.seed?.length === 0) {
    throw new UsageError('--log-from needs a session to append to: --seed AGENT/SESSION', 'emulator')
  }
  const stopped = Promise.withResolvers<undefined>()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => stopped.resolve(undefined))
  }
  const { startEmulator } = await import('../emulator/emulator.ts')
  const emulator = await startEmulator(options).catch((error: unknown) => {
    if (!(error instanceof Error)) throw error
    throw 'syscall' in error ? error : new CommandFailure(error.message)
  })
  const stopLog = flags.logFrom === undefined ? undefined : await feedLog(flags.logFrom, emulator, options)
  process.stdout.write(announcement(emulator, flags.json === true))
  await stopped.promise
  stopLog?.()
  await emulator.close()
  return 0
}

function emulatorOptions(flags: Flags): EmulatorOptions {
  const value = <Value>(
    name: string,
    text: string | undefined,
    parse: (text: string) => Value,
  ): Value | undefined => parseValue('emulator', name, text, parse)
  return {
    data: flags.data,
    host: flags.host,
    port: value('--port', flags.port, count(0, 65_535)),
    token: flags.token,
    seed: (flags.seed ?? []).map(parseAddress),
    seedFiles: flags.empty !== true,
    latencyMs: value('--latency', flags.latency, count(0)),
    pageSize: value('--page-size', flags.pageSize, count(1, 100)),
    tls: flags.tls,
    maxFileBytes: value('--max-file-size', flags.maxFileSize, size),
    modifiedTime: value('--modified-time', flags.modifiedTime, oneOf('real', 'zero')),
    extras: flags.extras,
    requestsPerSecond: value('--requests-per-second', flags.requestsPerSecond, count(1)),
    idleAfterMs: value('--idle-after', flags.idleAfter, duration),
    wakeMs: value('--wake', flags.wake, duration),
    heartbeatMs: value('--heartbeat', flags.heartbeat, duration),
  }
}

function announcement(emulator: Emulator, json: boolean): string {
  const { endpoint, token, certificatePath, data } = emulator
  if (json) {
    return `${JSON.stringify({ endpoint, token, certificate: certificatePath ?? null, data, pid: process.pid })}\n`
  }
  const lines = [
    `export FOUNDRY_PROJECT_ENDPOINT=${endpoint}`,
    `export MOUNT_SESSION_TOKEN=${token}`,
    ...(certificatePath === undefined ? [] : [`export NODE_EXTRA_CA_CERTS=${certificatePath}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** Appends the lines of stdin, or of a file as it grows, to the console of every seeded session. */
async function feedLog(source: string, emulator: Emulator, options: EmulatorOptions): Promise<() => void> {
  const append = (line: string): void => {
    for (const { agent, session } of options.seed ?? []) {
      emulator.appendLog(agent, session, [line])
    }
  }
  if (source === '-') {
    const lines = createInterface({ input: process.stdin })
    lines.on('line', append)
    return () => lines.close()
  }
  return followFile(source, append)
}

async function followFile(path: string, onLine: (line: string) => void): Promise<() => void> {
  const file = await open(path)
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let reading = Promise.resolve()
  const readOn = async (): Promise<void> => {
    for (;;) {
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(65_536) })
      if (bytesRead === 0) {
        return
      }
      const lines = (rest + decoder.write(buffer.subarray(0, bytesRead))).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(onLine)
    }
  }
  const schedule = (): void => {
    reading = reading.then(readOn)
  }
  schedule()
  /* polled: a file that grows on another kind of filesystem raises no events */
  watchFile(path, { interval: 500 }, schedule)
  return () => {
    unwatchFile(path, schedule)
    void reading.finally(() => file.close())
  }
}
