/**
 * `mount-session emulator`: the REST surface of the service over a local directory. Layer: cli.
 *
 * Invariant: prints its line once it listens and not before; Ctrl-C ends it with everything on disk.
 */
import { watchFile, unwatchFile } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { StringDecoder } from 'node:string_decoder'
import type { Emulator, EmulatorOptions } from '../emulator/emulator.ts'
import { readCommand } from './command-line.ts'
import { parseAddress } from './session-arguments.ts'
import { CommandFailure } from './report-error.ts'
import type { commandList } from './table/command-list.ts'
import type { FlagsOf } from './table/command-row.ts'
import { UsageError } from './usage-error.ts'

type Flags = FlagsOf<typeof commandList.emulator>

export async function run(argv: readonly string[]): Promise<number> {
  const { flags } = readCommand('emulator', argv)
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
  process.stdout.write(announcement(emulator, flags.json))
  await stopped.promise
  stopLog?.()
  await emulator.close()
  return 0
}

function emulatorOptions(flags: Flags): EmulatorOptions {
  return {
    data: flags.data,
    host: flags.host,
    port: flags.port,
    token: flags.token,
    seed: flags.seed.map((seed) => parseAddress(seed, 'emulator')),
    seedFiles: !flags.empty,
    latencyMs: flags.latency,
    pageSize: flags.pageSize,
    tls: flags.tls,
    maxFileBytes: flags.maxFileSize,
    modifiedTime: flags.modifiedTime,
    extras: flags.extras,
    requestsPerSecond: flags.requestsPerSecond,
    idleAfterMs: flags.idleAfter,
    wakeMs: flags.wake,
    heartbeatMs: flags.heartbeat,
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
