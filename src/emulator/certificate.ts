/**
 * The certificate of an emulator that serves https. Layer: emulator.
 *
 * Invariant: made once per data directory, or anew for another address, and good for loopback and the address it listens
 * at only; the key is readable by its owner alone.
 */

import { X509Certificate } from 'node:crypto'
import * as fs from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'

const loopback = '127.0.0.1'

export interface Certificate {
  readonly cert: string
  readonly key: string
  /** Where clients find the certificate that they must trust. */
  readonly path: string
  readonly keyPath: string
}

/** `host`: what clients call it, beside the names of loopback. */
export async function loadCertificate(data: string, host = loopback): Promise<Certificate> {
  const path = join(data, 'tls', 'certificate.pem')
  const keyPath = join(data, 'tls', 'key.pem')
  if (!fs.existsSync(keyPath) || !isFor(path, host)) await makeCertificate(path, keyPath, host)
  return { cert: fs.readFileSync(path, 'utf8'), key: fs.readFileSync(keyPath, 'utf8'), path, keyPath }
}

function isFor(path: string, host: string): boolean {
  if (!fs.existsSync(path)) return false
  const certificate = new X509Certificate(fs.readFileSync(path))
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined
}

async function makeCertificate(path: string, keyPath: string, host: string): Promise<void> {
  const notAfterDate = new Date()
  notAfterDate.setFullYear(notAfterDate.getFullYear() + 5)
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: loopback },
          { type: 7, ip: '::1' },
          ...(isIP(host) === 0 ? [{ type: 2 as const, value: host }] : [{ type: 7 as const, ip: host }]),
        ],
      },
    ],
  })
  fs.mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
  fs.writeFileSync(keyPath, pems.private, { mode: 0o600 })
  fs.writeFileSync(path, pems.cert)
}
