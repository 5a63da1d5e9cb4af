import t from 'tap'
import { constants } from 'node:os'
import { FilesystemError } from '../../src/filesystem/errors.ts'
import { errnoByReason, errnoOf, RefusedError } from '../../src/fuse/errno.ts'

void t.test('reasons become the numbers that programs expect', (t) => {
  t.equal(errnoOf(new FilesystemError('missing')), constants.errno.ENOENT)
  t.equal(errnoOf(new FilesystemError('tooLarge')), constants.errno.EFBIG)
  t.equal(errnoOf(new FilesystemError('noData')), constants.errno.ENXIO)
  t.equal(errnoOf(new RefusedError(22)), 22)
  for (const [reason, errno] of Object.entries(errnoByReason)) t.ok(errno > 0 && errno < 512, reason)
  t.end()
})

void t.test('anything else is a bug of ours and has no number of its own', (t) => {
  t.equal(errnoOf(new TypeError('x')), undefined)
  t.equal(errnoOf(new FilesystemError('internal')), undefined)
  t.end()
})
