/**
 * The places where a test may kill the daemon: before and after every transition of the journal and of a
 * remote call, and what lies between them. Layer: write-back. Handed in as a function; without one they cost a
 * call that does nothing.
 *
 * Invariant: a list is all there is: `Journal` writes only by naming a transition, and `withFailpoints` wraps
 * every call of `SessionFiles`.
 */
import type { SessionFiles } from '../../client/session-files.ts'

export const transitions = [
  'upgrade',
  'meta',
  'commit',
  'change',
  'attempt',
  'confirm',
  'forget',
  'seal',
  'unseal',
  'clearAttempts',
  'attributes',
  'setAside',
  'carried',
] as const

const calls = ['list', 'download', 'upload', 'delete', 'makeDirectory'] as const

export type Transition = (typeof transitions)[number]

/** `naming`: a request that changes names, all of it; before its reply. */
const others = ['fetch', 'spool.write', 'spool.unlink', 'naming', 'recovery'] as const

type Moment<Name extends string> = `${Name}.before` | `${Name}.after`

export type FailpointName = Moment<
  `journal.${Transition}` | `remote.${(typeof calls)[number]}` | (typeof others)[number]
>

export const failpointNames: readonly FailpointName[] = [
  ...transitions.map((name) => `journal.${name}` as const),
  ...calls.map((name) => `remote.${name}` as const),
  ...others,
].flatMap((name) => [`${name}.before`, `${name}.after`] as const)

export type Failpoint = (name: FailpointName) => void

export const noFailpoint: Failpoint = () => undefined

/** The same files, with a point before each call and one after each that went well. */
export function withFailpoints(files: SessionFiles, failpoint: Failpoint): SessionFiles {
  const around = async <T>(name: (typeof calls)[number], call: () => Promise<T>): Promise<T> => {
    failpoint(`remote.${name}.before`)
    const answer = await call()
    failpoint(`remote.${name}.after`)
    return answer
  }
  return {
    async *list(directory, options) {
      failpoint('remote.list.before')
      yield* files.list(directory, options)
      failpoint('remote.list.after')
    },
    download: (path, options) => around('download', () => files.download(path, options)),
    upload: (path, source, options) => around('upload', () => files.upload(path, source, options)),
    remove: (path, options) => around('delete', () => files.remove(path, options)),
    makeDirectory: (path, options) => around('makeDirectory', () => files.makeDirectory(path, options)),
  }
}
