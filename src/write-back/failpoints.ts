/**
 * The places where a test may kill the daemon: before and after every transition of the journal and of a
 * remote call. Layer: write-back. Handed in as a function; without one they cost a call that does nothing.
 */

export const failpointNames = [
  'journal.change.before',
  'journal.change.after',
  'journal.attempt.before',
  'journal.attempt.after',
  'journal.confirm.before',
  'journal.confirm.after',
  'journal.forget.before',
  'journal.forget.after',
  'journal.attributes.before',
  'journal.attributes.after',
  'journal.seal.before',
  'journal.seal.after',
  'remote.upload.before',
  'remote.upload.after',
  'remote.delete.before',
  'remote.delete.after',
  'remote.makeDirectory.before',
  'remote.makeDirectory.after',
  'fetch.before',
  'fetch.after',
  'spool.unlink.before',
  'recovery.before',
  'recovery.after',
] as const

export type FailpointName = (typeof failpointNames)[number]

export type Failpoint = (name: FailpointName) => void

export const noFailpoint: Failpoint = () => undefined
