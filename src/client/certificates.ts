/**
 * Whose certificates are trusted: those that Node brings along and `NODE_EXTRA_CA_CERTS`, those of this machine's
 * store, and those of `--ca-file`. Layer: client.
 *
 * Reading the store and making a context of it all takes some 60 ms of CPU, and nearly nobody needs it. So there are
 * two contexts: one that costs nothing, of what was given or else of what Node has made anyway, and one of
 * everything, made when a certificate was not trusted by the first. What is trusted in the end is the same.
 *
 * Invariant: each context is made once for a client. After the wide one is made, it alone is used.
 */
import * as tls from 'node:tls'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

export class Trust {
  readonly #ca: string | undefined
  #context: SecureContext | undefined
  #wide: SecureContext | undefined

  /** `ca`: certificates (PEM) that are trusted beside the system's. */
  constructor(ca: string | undefined) {
    this.#ca = ca
  }

  get context(): SecureContext {
    return (
      this.#wide ?? (this.#context ??= createSecureContext(this.#ca === undefined ? {} : { ca: this.#ca }))
    )
  }

  /** Whether there is more to trust than `context` does; from now on it is. */
  widen(context: SecureContext): boolean {
    this.#wide ??= createSecureContext({ ca: everything(this.#ca) })
    return context !== this.#wide
  }
}

/** Of the whole process: for what makes connections of its own, as the login does. Before Node 24.5 it does nothing. */
export function trustEverywhere(ca: string | undefined): void {
  if ('setDefaultCACertificates' in tls) tls.setDefaultCACertificates(everything(ca))
}

/* the store has most certificates several times: by name, by hash and in one large file */
function everything(ca: string | undefined): string[] {
  const known = [...getCACertificates('default'), ...getCACertificates('system')]
  return [...new Set(known), ...(ca === undefined ? [] : [ca])]
}

/** A certificate that nobody vouches for, as far as is known; one for another name is none. */
export function isUntrusted(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return false
  return /CERT|^UNABLE_TO_/.test(code) || isUntrusted(error.cause)
}
