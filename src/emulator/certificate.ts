/**
 * The certificate of an emulator that serves https. Layer: emulator.
 *
 * Invariant: made once per data directory and good for loopback only; the key is readable by its owner alone.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'

export interface Certificate {
  readonly cert: string
  readonly key: string
  /** Where clients find the certificate that they must trust. */
  readonly path: string
  readonly keyPath: string
}

export async function loadCertificate(data: string): Promise<Certificate> {
  const path = join(data, 'tls', 'certificate.pem')
  const keyPath = join(data, 'tls', 'key.pem')
  if (!fs.existsSync(path) || !fs.existsSync(keyPath)) await makeCertificate(path, keyPath)
  return { cert: fs.readFileSync(path, 'utf8'), key: fs.readFileSync(keyPath, 'utf8'), path, keyPath }
}

async function makeCertificate(path: string, keyPath: string): Promise<void> {
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
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  })
  fs.mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
  fs.writeFileSync(keyPath, pems.private, { mode: 0o600 })
  fs.writeFileSync(path, pems.cert)
}
