/**
 * What the single operations of the client take beside agent and session. Layer: client.
 *
 * Invariant: every option is sent or acted upon; what is absent is left to the service.
 */
import type { RequestOptions } from './client-options.ts'

export interface NewSession {
  /** 8 to 128 of `A-Za-z0-9_-`, unique for the agent. Default: the service chooses. */
  readonly sessionId?: string | undefined
  /** A concrete version such as `2`. Default: the rules of the agent's endpoint choose. */
  readonly agentVersion?: string | undefined
}

export interface ListOptions extends RequestOptions {
  /** Entries of one page, 1 to 100; default 100. */
  readonly pageSize?: number | undefined
  readonly order?: 'asc' | 'desc' | undefined
}

export interface DeleteOptions extends RequestOptions {
  /** A directory and all below it; default false. */
  readonly recursive?: boolean | undefined
}

export interface DownloadOptions extends RequestOptions {
  /** As the listing says: what is short shares a connection. Default: unknown. */
  readonly expectedBytes?: number | undefined
}

export interface LogStreamOptions extends RequestOptions {
  /** With it the documented route is taken, which has no further parameters; without it the one by session alone. */
  readonly agentVersion?: string | undefined
  readonly kind?: 'console' | 'system' | undefined
  /** How many of the last lines come first, 1 to 300. */
  readonly tail?: number | undefined
  readonly follow?: boolean | undefined
  /** A stream without a byte for so long is over, in milliseconds; the service itself says something every 60 s. Default 150,000. */
  readonly stallMs?: number | undefined
}

/** The raw bytes of the event stream, once; leaving the loop or `close` ends the connection. */
export interface LogStream {
  readonly status: number
  readonly body: AsyncIterable<Uint8Array>
  close(): void
}
