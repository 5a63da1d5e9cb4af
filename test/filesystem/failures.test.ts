import t from 'tap'
import { CacheDiskError } from '../../src/cache/contents.ts'
import { ServiceError } from '../../src/client/errors.ts'
import { FilesystemError } from '../../src/filesystem/errors.ts'
import { stopIfInterrupted, toFilesystemError } from '../../src/filesystem/failures.ts'
import { WriteBackError } from '../../src/write-back/local-changes.ts'

const reasonOf = (error: unknown): string => toFilesystemError(error).reason
const local = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'open' })

void t.test('what the local disk says is told apart: full, out of descriptors, broken', (t) => {
  t.equal(reasonOf(local('ENOSPC')), 'diskFull')
  t.equal(reasonOf(local('EDQUOT')), 'diskFull')
  t.equal(reasonOf(local('EMFILE')), 'tooManyOpenFiles')
  t.equal(reasonOf(local('ENFILE')), 'tooManyOpenFiles')
  t.equal(reasonOf(local('EACCES')), 'serviceFailed')
  t.equal(reasonOf(new CacheDiskError('diskFull', 'full')), 'diskFull')
  t.equal(reasonOf(new CacheDiskError('localDisk', 'broken')), 'serviceFailed')
  t.end()
})

void t.test('out of descriptors is found behind whatever met it', (t) => {
  const cause = local('EMFILE')
  t.equal(reasonOf(new CacheDiskError('localDisk', 'cache', { cause })), 'tooManyOpenFiles')
  t.equal(reasonOf(new ServiceError('network', 'no socket', { cause })), 'tooManyOpenFiles')
  t.equal(reasonOf(new WriteBackError('localDisk', 'a', 'spool', { cause })), 'tooManyOpenFiles')
  t.end()
})

void t.test(
  'a parked path fails as the service said, but is neither missing nor interrupted by that',
  (t) => {
    const parked = (code: ConstructorParameters<typeof ServiceError>[0]): string =>
      reasonOf(new WriteBackError('parked', 'a', 'parked', { cause: new ServiceError(code, code) }))
    t.equal(parked('forbidden'), 'accessDenied')
    t.equal(parked('too_large'), 'tooLarge')
    t.equal(parked('not_found'), 'serviceFailed')
    t.equal(parked('aborted'), 'serviceFailed')
    t.equal(reasonOf(new WriteBackError('parked', 'a', 'parked')), 'serviceFailed')
    t.end()
  },
)

void t.test('an abort is an interruption; what has no name is a fault of this program', (t) => {
  t.equal(reasonOf(new DOMException('stop', 'AbortError')), 'interrupted')
  t.equal(reasonOf(new TypeError('of undefined')), 'internal')
  t.equal(reasonOf('not even an error'), 'internal')
  const already = new FilesystemError('missing')
  t.equal(toFilesystemError(already), already)
  t.throws(() => stopIfInterrupted(AbortSignal.abort()), new FilesystemError('interrupted'))
  t.end()
})
