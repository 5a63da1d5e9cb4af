/**
 * Who the driver is. Layer: csi.
 *
 * Invariant: answers without asking anybody, so that a service that is not reached does not make the driver look dead.
 */
import { readFileSync } from 'node:fs'
import type { ServedService } from './grpc-server.ts'

/** What `CSIDriver` objects, storage classes and Pods call it. */
export const driverName = 'csi.mount-session'

export function identityService({ hasController }: { readonly hasController: boolean }): ServedService {
  const capabilities = hasController ? [{ service: { type: 'CONTROLLER_SERVICE' } }] : []
  const vendorVersion = readVersion()
  return {
    proto: 'csi.proto',
    name: 'csi.v1.Identity',
    handlers: {
      GetPluginInfo: () => Promise.resolve({ name: driverName, vendorVersion }),
      GetPluginCapabilities: () => Promise.resolve({ capabilities }),
      Probe: () => Promise.resolve({ ready: { value: true } }),
    },
  }
}

function readVersion(): string {
  /* as far above `src/csi` as above `dist/csi` */
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}
