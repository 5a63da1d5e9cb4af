import t from 'tap'
import { readCommand } from '../../src/cli/command-line.ts'

void t.test('a flag whose name begins with no- is false without it and true with it, as any other', (t) => {
  t.equal(readCommand('csi', []).flags.noRegistration, false)
  t.equal(readCommand('csi', ['--no-registration']).flags.noRegistration, true)
  t.equal(readCommand('csi', []).flags.inProcess, false)
  t.end()
})
