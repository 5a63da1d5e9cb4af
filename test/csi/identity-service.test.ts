import { readFileSync } from 'node:fs'
import t from 'tap'
import { driverName, identityService } from '../../src/csi/identity-service.ts'
import { served } from './rig.ts'

void t.test('the driver says its name, its version and that it is ready', async (t) => {
  const identity = identityService({ hasController: false })
  const { call } = (await served(t, [identity])).remote(identity)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.strictSame(await call('GetPluginInfo'), { name: 'csi.mount-session', vendorVersion: version })
  t.equal(driverName, 'csi.mount-session')
  t.match(await call('Probe'), { ready: { value: true } })
})

void t.test('it says that it makes volumes only where the controller is served', async (t) => {
  for (const hasController of [false, true]) {
    const identity = identityService({ hasController })
    const { call } = (await served(t, [identity])).remote(identity)
    const answer = (await call('GetPluginCapabilities')) as { capabilities: object[] }
    const expected = hasController ? [{ service: { type: 'CONTROLLER_SERVICE' } }] : []
    t.equal(answer.capabilities.length, expected.length)
    t.match(answer.capabilities, expected)
  }
})
