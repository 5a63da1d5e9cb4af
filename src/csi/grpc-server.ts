/**
 * Services of gRPC on a Unix socket, over handlers that are plain functions. Layer: csi.
 *
 * Invariant: of a request the log has the name of the call, the volume and its target, never what else it holds:
 * secrets, tokens of service accounts and attributes are the user's.
 */
import { chmod } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Logger } from '../log.ts'
import { refusalOf } from './grpc-status.ts'
import { prepareSocketPath } from './server-socket.ts'

export interface CallContext {
  /** Aborted when the caller gives up, or its deadline passes. */
  readonly signal: AbortSignal
  /** Unix milliseconds; Infinity: the caller named none. */
  readonly deadlineMs: number
}

/** What each call is answered with, by its name. Rejects with `CsiError`, or with an error of session or client. */
export type Handlers = Readonly<Record<string, (request: never, context: CallContext) => Promise<object>>>

export interface ServedService {
  readonly proto: 'csi.proto' | 'registration.proto'
  /** With its package. */
  readonly name: string
  readonly handlers: Handlers
}

export interface ListeningServer {
  /** Takes no new call, waits for those in hand, and removes the socket; with `giveUp` those end with CANCELLED. */
  close(giveUp?: AbortSignal): Promise<void>
}

/** Resolves when the socket listens, for its owner alone. Rejects where another driver does. */
export async function serveOn(
  socketPath: string,
  services: readonly ServedService[],
  { logger }: { readonly logger: Logger },
): Promise<ListeningServer> {
  const server = new Server()
  for (const { proto, name, handlers } of services) {
    const definition = loadService(proto, name)
    const unary = Object.entries(handlers).map(([rpc, handler]) => {
      if (!(rpc in definition)) throw new Error(`${name} has no call ${rpc}`)
      return [rpc, answeredBy(rpc, handler, logger)]
    })
    server.addService(
      definition,
      Object.fromEntries(unary) as Record<string, handleUnaryCall<object, object>>,
    )
  }
  await prepareSocketPath(socketPath)
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  await chmod(socketPath, 0o600)
  logger.debug({ socket: socketPath, services: services.map(({ name }) => name) }, 'listening')
  return { close: (giveUp) => shutDown(server, giveUp) }
}

/** The messages are as `messages.ts` has them. */
export function loadService(proto: ServedService['proto'], name: string): ServiceDefinition {
  const file = fileURLToPath(new URL(proto, import.meta.url))
  const loaded = loadSync(file, {
    keepCase: false,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  })
  const definition = loaded[name]
  if (definition === undefined || 'format' in definition) throw new Error(`${proto} has no service ${name}`)
  return definition
}

function answeredBy(rpc: string, handler: Handlers[string], logger: Logger): handleUnaryCall<object, object> {
  return (call, reply) => {
    const abort = new AbortController()
    call.on('cancelled', () => abort.abort())
    const deadline = call.getDeadline()
    const context = {
      signal: abort.signal,
      deadlineMs: deadline instanceof Date ? deadline.getTime() : deadline,
    }
    const about = { rpc, ...namedIn(call.request) }
    logger.debug(about, 'called')
    void answer().then(
      (message) => reply(null, message),
      (error: unknown) => {
        const { code, details, isForeseen } = refusalOf(error)
        if (isForeseen) logger.warn({ ...about, code: status[code], reason: details }, 'a call failed')
        else logger.error({ ...about, err: error }, 'a call failed')
        reply({ code, details })
      },
    )

    async function answer(): Promise<object> {
      return handler(call.request as never, context)
    }
  }
}

const named = ['volumeId', 'name', 'targetPath'] as const

function namedIn(request: object): object {
  const fields = request as Readonly<Record<string, unknown>>
  return Object.fromEntries(
    named.flatMap((field) => (typeof fields[field] === 'string' ? [[field, fields[field]]] : [])),
  )
}

async function shutDown(server: Server, giveUp: AbortSignal | undefined): Promise<void> {
  const force = (): void => server.forceShutdown()
  giveUp?.addEventListener('abort', force)
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve())
    if (giveUp?.aborted === true) force()
  })
  giveUp?.removeEventListener('abort', force)
}
