/**
 * A driver's socket in a directory of its own, a client of gRPC at it, and a log that can be read. Layer: tests.
 *
 * Invariant: client, server and directory are gone when the test ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import type { Test } from 'tap'
import { type ListeningServer, loadService, serveOn, type ServedService } from '../../src/csi/grpc-server.ts'
import type { VolumeCapability } from '../../src/csi/messages.ts'
import type { Logger } from '../../src/log.ts'

type Teardown = Pick<Test, 'teardown'>

/** Short enough for the address of a socket, wherever the checkout lies. */
export function temporaryDirectory(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'mount-session-csi-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface RecordingLogger extends Logger {
  readonly lines: LogLine[]
  /** All that was logged, with the stacks of errors. */
  text(): string
}

export function recordingLogger(): RecordingLogger {
  const lines: LogLine[] = []
  const at =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, ...fields })
    }
  return {
    lines,
    text: () =>
      lines
        .map((line) =>
          JSON.stringify(line, (_key, value: unknown) =>
            value instanceof Error ? `${value.stack} ${String(value.cause)}` : value,
          ),
        )
        .join('\n'),
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isLevelEnabled: () => true,
  }
}

export interface RemoteService {
  /** Resolves with the answer, or with `{ code, details }` of a call that failed. */
  readonly call: (
    rpc: string,
    request?: object,
    options?: { readonly deadlineMs?: number },
  ) => Promise<object>
  /** Gives up by the signal. */
  readonly callUntil: (rpc: string, request: object, signal: AbortSignal) => Promise<object>
}

export function remoteService(
  t: Teardown,
  socket: string,
  { proto, name }: Pick<ServedService, 'proto' | 'name'>,
): RemoteService {
  const definition = loadService(proto, name)
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const send = (rpc: string, request: object, deadline: number, signal?: AbortSignal): Promise<object> =>
    new Promise((resolve, reject) => {
      const method = definition[rpc]
      const path = method?.path ?? `/${name}/${rpc}`
      const serialize = method?.requestSerialize ?? (() => Buffer.alloc(0))
      const deserialize = method?.responseDeserialize ?? ((bytes: Buffer) => bytes)
      const call = client.makeUnaryRequest<object, object>(
        path,
        serialize,
        deserialize as (bytes: Buffer) => object,
        request,
        { deadline },
        (error: ServiceError | null, answer) => {
          if (error !== null) resolve({ code: status[error.code], details: error.details })
          else if (answer === undefined) reject(new Error('neither an answer nor an error'))
          else resolve(answer)
        },
      )
      signal?.addEventListener('abort', () => call.cancel())
    })
  return {
    call: (rpc, request = {}, { deadlineMs = Infinity } = {}) => send(rpc, request, deadlineMs),
    callUntil: (rpc, request, signal) => send(rpc, request, Infinity, signal),
  }
}

export interface Served {
  readonly socket: string
  readonly server: ListeningServer
  readonly logger: RecordingLogger
  /** A client of one of the services. */
  readonly remote: (service: Pick<ServedService, 'proto' | 'name'>) => RemoteService
}

/** The services on a socket of their own, and the log of the server. */
export async function served(
  t: Teardown,
  services: readonly ServedService[],
  logger: RecordingLogger = recordingLogger(),
): Promise<Served> {
  const socket = join(temporaryDirectory(t), 'csi.sock')
  const server = await serveOn(socket, services, { logger })
  t.teardown(() => server.close(AbortSignal.abort()))
  return { socket, server, logger, remote: (service) => remoteService(t, socket, service) }
}

/** A volume as the kubelet asks for it: a filesystem that is written to. */
export function mountCapability(
  mount: { readonly mountFlags?: readonly string[]; readonly volumeMountGroup?: string } = {},
  mode = 'SINGLE_NODE_WRITER',
): VolumeCapability {
  return { mount: { fsType: '', mountFlags: [], volumeMountGroup: '', ...mount }, accessMode: { mode } }
}

/** Resolves with what `settle` was called with: for what a handler is to tell. */
export function promised<Value>(): {
  readonly value: Promise<Value>
  readonly settle: (value: Value) => void
} {
  let settle: (value: Value) => void = () => undefined
  const value = new Promise<Value>((resolve) => (settle = resolve))
  return { value, settle: (given) => settle(given) }
}
