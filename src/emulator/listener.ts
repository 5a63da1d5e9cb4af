/**
 * The server under the routes: HTTP/1.1, or over TLS HTTP/2 and HTTP/1.1 as the client prefers (ALPN).
 * Layer: emulator.
 *
 * Invariant: what a client may send is the same over both: headers, concurrency and bodies have the limits
 * that gateways in front of such services have.
 */
import * as http from 'node:http'
import * as http2 from 'node:http2'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { Certificate } from './certificate.ts'

/** Names of 255 bytes are three times as long in a URL, and paths have several. */
const maxHeaderSize = 64 * 1024
/* what Kestrel grants: requests at once on a connection, and bytes on the way before it has taken any */
const maxConcurrentStreams = 100
const connectionWindowBytes = 1024 * 1024
const streamWindowBytes = 768 * 1024

/** One handler for both: a request of HTTP/2 has all of one of HTTP/1.1 that fastify uses. */
export type RequestHandler = (
  request: http.IncomingMessage | Http2ServerRequest,
  response: http.ServerResponse | Http2ServerResponse,
) => void

export interface Listener {
  readonly server: http.Server
  /** Ends the connections that the server itself would wait for. */
  readonly closeSessions: () => void
}

export function createListener(certificate: Certificate | undefined, handler: RequestHandler): Listener {
  const settings = { maxHeaderSize, requestTimeout: 0, keepAliveTimeout: 72_000 }
  if (certificate === undefined) {
    return { server: http.createServer(settings, handler), closeSessions: () => undefined }
  }
  const server = http2.createSecureServer(
    {
      ...settings,
      cert: certificate.cert,
      key: certificate.key,
      allowHTTP1: true,
      settings: {
        maxConcurrentStreams,
        initialWindowSize: streamWindowBytes,
        maxHeaderListSize: maxHeaderSize,
      },
    },
    handler,
  )
  /* the side of HTTP/1.1 has these as properties, and takes no notice of them as options */
  Object.assign(server, { requestTimeout: 0, keepAliveTimeout: settings.keepAliveTimeout })
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    session.setLocalWindowSize(connectionWindowBytes)
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  return {
    /* it has every method of an http server that fastify uses */
    server: server as unknown as http.Server,
    closeSessions: () => {
      for (const session of sessions) session.destroy()
    },
  }
}
