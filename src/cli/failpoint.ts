/**
 * `MOUNT_SESSION_FAILPOINT=NAME[:N]`: the process kills itself the Nth time (default: the first) that it comes
 * to a named point of the write-back. For crash tests. Layer: cli.
 *
 * Invariant: without the variable nothing is handed down, and the points cost nothing.
 */
import { failpointNames, type Failpoint } from '../write-back/disk/failpoints.ts'
import { CommandFailure } from './report-error.ts'

const variable = 'MOUNT_SESSION_FAILPOINT'

export function failpointFrom(env: NodeJS.ProcessEnv): Failpoint | undefined {
  const given = env[variable]
  if (given === undefined || given === '') {
    return undefined
  }
  const [wanted = '', times = '1'] = given.split(':')
  let left = Number(times)
  if (!failpointNames.some((name) => name === wanted) || !(left >= 1)) {
    throw new CommandFailure(`${variable}=${given}: not NAME[:N] with one of: ${failpointNames.join(', ')}`)
  }
  return (name) => {
    if (name !== wanted || --left > 0) {
      return
    }
    process.kill(process.pid, 'SIGKILL')
    /* the signal is there when the call returns; not one step further */
    for (;;);
  }
}
