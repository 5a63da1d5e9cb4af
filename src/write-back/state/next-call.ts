/**
 * The two decisions of the queue, as pure functions: which call brings a path nearer to its desired state,
 * and what must happen first. Layer: write-back.
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

export type Obstacle =
  | { readonly kind: 'wanted' }
  | { readonly kind: 'children' }
  | { readonly kind: 'record'; readonly record: PathRecord }

/** Why the call may not be sent now; undefined: it may. */
export function obstacle(record: PathRecord, call: NextCall, around: Records): Obstacle | undefined {
  switch (call.do) {
    case 'nothing':
    case 'fetch':
      return undefined
    case 'delete': {
      if (around.wanted(record.path)) return { kind: 'wanted' }
      const heir = around.missingHeir(record)
      if (heir) return { kind: 'record', record: heir }
      if (!mayBeFile(record) && around.unfinishedBelow(record.path) > 0) return { kind: 'children' }
      return undefined
    }
    case 'upload': {
      if (around.wanted(record.path)) return { kind: 'wanted' }
      // what was below a directory of this name is not gone yet
      if (around.unfinishedBelow(record.path) > 0) return { kind: 'children' }
      const above = around.fileAbove(record.path)
      return above ? { kind: 'record', record: above } : undefined
    }
    case 'makeDirectory': {
      if (around.uploadsBelow(record.path) > 0) return { kind: 'children' }
      const above = around.fileAbove(record.path)
      return above ? { kind: 'record', record: above } : undefined
    }
  }
}
