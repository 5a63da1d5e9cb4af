/**
 * A plain server over TLS, with the connections of the emulator: 4 KiB for a GET, 201 for a PUT.
 * Layer: benchmark.
 *
 *   server.ts DIRECTORY
 *
 * Invariant: does nothing else, so that what is measured is the transport.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { loadCertificate } from '../../../src/emulator/certificate.ts'
import { createListener } from '../../../src/emulator/listener.ts'
import { noise } from '../fixtures.ts'
import { trialBytes } from './trial.ts'

const [, , directory = '.'] = process.argv
const content = noise(trialBytes)
const certificate = await loadCertificate(directory)
const { server } = createListener(certificate, (request, response) => {
  request.resume()
  request.once('end', () => {
    response.statusCode = request.method === 'PUT' ? 201 : 200
    response.end(request.method === 'PUT' ? '' : content)
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
process.stdout.write(`${JSON.stringify({ port, certificate: certificate.path })}\n`)
