/**
 * Asks a running mount over its Unix socket. Layer: beside the composition root, used by the command line.
 *
 * Invariant: never touches the mounted directory, so it works while everything in there hangs; every failure
 * is a `ControlError`.
 */
import { createConnection } from 'node:net'
import type { Socket } from 'node:net'
import { sleep, systemClock } from '../clock.ts'
import { ControlError } from './protocol.ts'
import type { ControlEvent, ControlRequest, ControlResults, Progress } from './protocol.ts'
import { openSocketAddress } from './socket-path.ts'

export interface AskOptions {
  /** Takes the request back: the connection closes, the returned promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** How long the first line of the answer may take; default: for ever. */
  readonly answerWithinMs?: number | undefined
}

/** Sends one request to the mount whose state is in `stateDirectory` and waits for its answer. */
export async function ask<Method extends ControlRequest['method']>(
  stateDirectory: string,
  request: Extract<ControlRequest, { readonly method: Method }>,
  options: AskOptions = {},
): Promise<ControlResults[Method]> {
  options.signal?.throwIfAborted()
  const socket = await connect(stateDirectory)
  const answered = new AbortController()
  let silence: ControlError | undefined
  const onAbort = (): void => void socket.destroy()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  if (options.answerWithinMs !== undefined) {
    sleep(systemClock, options.answerWithinMs, answered.signal).then(
      () => {
        silence = new ControlError('silent', 'the mount does not answer')
        socket.destroy()
      },
      () => undefined,
    )
  }
  try {
    options.signal?.throwIfAborted() /* it may have been while the connection was made */
    socket.write(`${JSON.stringify(request)}\n`)
    for await (const line of linesOf(socket)) {
      answered.abort()
      const event = JSON.parse(line) as ControlEvent
      switch (event.event) {
        case 'progress':
          options.onProgress?.(event.progress)
          break
        case 'result':
          return event.result as ControlResults[Method]
        case 'error':
          throw new ControlError('refused', event.message, { reason: event.code })
        default:
          event satisfies never
      }
    }
  } catch (error) {
    if (error instanceof ControlError) {
      throw error
    }
    /* the connection broke: said below */
  } finally {
    answered.abort()
    options.signal?.removeEventListener('abort', onAbort)
    socket.destroy()
  }
  options.signal?.throwIfAborted()
  throw silence ?? new ControlError('notRunning', 'the mount ended before it answered')
}

async function connect(stateDirectory: string): Promise<Socket> {
  let address
  try {
    address = openSocketAddress(stateDirectory)
  } catch (error) {
    throw new ControlError('notRunning', `nothing is left in ${stateDirectory}`, { cause: error })
  }
  try {
    const socket = createConnection(address.path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    /* errors from here on end the reading of its lines */
    socket.on('error', () => undefined)
    return socket
  } catch (error) {
    throw new ControlError('notRunning', 'its daemon has ended', { cause: error })
  } finally {
    address.close()
  }
}

/* readline would wait for ever on a socket that was destroyed; reading the socket itself throws */
async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
