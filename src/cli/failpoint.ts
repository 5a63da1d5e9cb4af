/**
 * `MOUNT_SESSION_FAILPOINT=NAME[:N]`: the process kills itself the Nth time (default: the first) that it comes
 * to a named point of the write-back. `NAME[:N],NAME[:N]...`: the first is for this process, and the others in turn for
 * those that go on with its mount. For crash tests. Layer: cli.
 *
 * Invariant: without the variable nothing is handed down, and the points cost nothing.
 */
import { writeSync } from 'node:fs'
import { failpointNames, type Failpoint } from '../write-back/disk/failpoints.ts'
import { CommandFailure } from './report-error.ts'

const variable = 'MOUNT_SESSION_FAILPOINT'

/** The variable for the next process of a mount. */
export function failpointsAfter(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const [, ...left] = (env[variable] ?? '').split(',')
  return { [variable]: left.length === 0 ? undefined : left.join(',') }
}

/** The same in a shell, before it starts one. */
export const nextFailpoint = `case \$${variable} in *,*) ${variable}=\${${variable}#*,};; *) unset ${variable};; esac`

export function failpointFrom(env: NodeJS.ProcessEnv): Failpoint | undefined {
  const given = env[variable]?.split(',', 1)[0]
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
    /* to the log of a daemon */
    writeSync(process.stderr.fd, `${JSON.stringify({ level: 'info', msg: `killed at ${name}` })}\n`)
    process.kill(process.pid, 'SIGKILL')
    /* the signal is there when the call returns; not one step further */
    for (;;);
  }
}
