/**
 * The two decisions of the queue, as pure functions: which call brings a path nearer to its desired state,
 * and whether it has to wait for others. Layer: write-back.
 *
 * The ordering rule, written once:
 * - a name's remote content is overwritten or deleted only when every name that still wants it has it in the
 *   spool or on the service (`wanted`), and deleted only when those names are on the service (`heirs`);
 * - on one path a file is replaced by a PUT, never by DELETE and PUT;
 * - children are gone before their directory or what takes its name, a file is gone before something is put
 *   below its name, and an empty directory is made only when nothing that is put below it makes it anyway.
 */
import type { Records } from './records.ts'
import { isDone, mayBeDirectory, mayBeFile, type NextCall, type PathRecord } from '../record.ts'

export function nextCall(record: PathRecord): NextCall {
  const { desired } = record
  if (isDone(record)) return { do: 'nothing' }
  if (record.scratch) {
    // it stays here, but what it takes along from the service has to come here first
    return { do: desired.is === 'file' && desired.from === 'remote' ? 'fetch' : 'nothing' }
  }
  switch (desired.is) {
    case 'absent':
      return { do: 'delete' }
    case 'directory':
      return { do: mayBeFile(record) ? 'delete' : 'makeDirectory' }
    case 'file':
      if (desired.from === 'remote') return { do: 'fetch' }
      return { do: mayBeDirectory(record) ? 'delete' : 'upload' }
  }
}

/** Whether something else has to happen before the call may be sent. */
export function mustWait(record: PathRecord, call: NextCall, around: Records): boolean {
  const { path } = record
  switch (call.do) {
    case 'nothing':
    case 'fetch':
      return false
    case 'delete':
      if (around.wanted(path) || around.missingHeir(record)) return true
      return !mayBeFile(record) && around.unfinishedBelow(path) > 0
    case 'upload':
      // what was below a directory of this name may not be gone yet
      return around.wanted(path) || around.unfinishedBelow(path) > 0 || around.fileAbove(path) !== undefined
    case 'makeDirectory':
      return around.uploadsBelow(path) > 0 || around.fileAbove(path) !== undefined
  }
}
