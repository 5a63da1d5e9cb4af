/**
 * What a client is made with, and what a call of it can be given. Layer: client.
 *
 * Invariant: everything has a default but the endpoint; nothing is read from the environment.
 */
import type { LaneLimits } from './lanes.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { FinishedCall } from './call.ts'
import type { Credential } from './credential.ts'
import { ServiceError } from './errors.ts'
import type { ProxyOptions } from './proxy.ts'
import type { Timeouts } from './progress-watch.ts'
import type { RetryPolicy } from './retry.ts'
import type { CallOptions } from './session-files.ts'

/** For whom a call is made, where the agent's sessions are kept apart by user. */
export interface Identity {
  /** Of endpoints that tell users apart by a key in a header; sent under its old and its new name. */
  readonly isolationKey?: string | undefined
  /** The user on whose behalf the call is made: 1 to 256 of `A-Za-z0-9._:-@`. Needs a permission of its own. */
  readonly userIdentity?: string | undefined
}

export interface RequestOptions extends CallOptions, Identity {}

export interface SessionClientOptions extends Identity {
  /** `https://ACCOUNT.services.ai.azure.com/api/projects/PROJECT`; http on this machine only. */
  readonly endpoint: string
  /** Default: `DefaultAzureCredential` of `@azure/identity`, loaded when the first token is needed. */
  readonly credential?: Credential | undefined
  /** Default `v1`. */
  readonly apiVersion?: string | undefined
  /** Default `mount-session`. */
  readonly userAgent?: string | undefined
  readonly limits?: LaneLimits | undefined
  readonly timeouts?: Partial<Timeouts> | undefined
  readonly retry?: Partial<RetryPolicy> | undefined
  /** Bytes above which an upload fails with `too_large` before anything is sent. Default: that of the option `--max-file-size`. */
  readonly maxFileBytes?: number | undefined
  /** Certificates (PEM) that are trusted beside the system's. */
  readonly ca?: string | undefined
  /** On the way to an endpoint over https that is not this machine. Default: none, whatever the environment says. */
  readonly proxy?: ProxyOptions | undefined
  /** Told of every attempt when it is over. */
  readonly onCall?: ((call: FinishedCall) => void) | undefined
  /** Told of the service's clock with every answer, Unix milliseconds; NaN where it does not say. */
  readonly onServerDate?: ((ms: number) => void) | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
  /** 0 to 1, for the jitter of the waits. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** Fails with `bad_request` for what no header can carry. */
export function identityHeaders(identity: Identity): Record<string, string> {
  const { isolationKey, userIdentity } = identity
  if (isolationKey !== undefined && !/^[\x20-\x7e]+$/.test(isolationKey))
    throw new ServiceError('bad_request', 'the isolation key must be printable ASCII')
  if (userIdentity !== undefined && !/^[A-Za-z0-9._:@-]{1,256}$/.test(userIdentity))
    throw new ServiceError('bad_request', 'the user identity must be 1 to 256 of A-Z a-z 0-9 . _ : - @')
  return {
    ...(isolationKey === undefined
      ? {}
      : { 'x-session-isolation-key': isolationKey, 'x-ms-user-isolation-key': isolationKey }),
    ...(userIdentity === undefined ? {} : { 'x-ms-user-identity': userIdentity }),
  }
}
