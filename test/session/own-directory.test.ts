import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeDirectory, makeOwnDirectory } from '../../src/session/own-directory.ts'
import { SessionError } from '../../src/session/session-error.ts'

const isRoot = process.getuid?.() === 0

function directory(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'own-directory-'))
  t.teardown(() => rmSync(made, { recursive: true }))
  return made
}

const refusal = (path: string): string => {
  try {
    makeOwnDirectory(path, 'XDG_STATE_HOME')
    return 'none'
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    return `${error.code}: ${error.message}`
  }
}

void t.test('what is missing is made, for its owner alone, whatever the umask', (t) => {
  const root = directory(t)
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  makeOwnDirectory(join(root, 'a/b'), 'XDG_STATE_HOME')
  makeOwnDirectory(join(root, 'a/b'), 'XDG_STATE_HOME')
  for (const path of ['a', 'a/b']) t.equal(statSync(join(root, path)).mode & 0o777, 0o700)
  t.end()
})

void t.test('what others may write to, or what belongs to somebody else, is refused', (t) => {
  const root = directory(t)
  mkdirSync(join(root, 'shared'))
  for (const mode of [0o770, 0o777, 0o1777]) {
    chmodSync(join(root, 'shared'), mode)
    t.match(
      refusal(join(root, 'shared')),
      /^unusableDirectory: .*shared can be written to by other users: set XDG_STATE_HOME/,
    )
  }
  chmodSync(join(root, 'shared'), 0o755)
  t.equal(refusal(join(root, 'shared')), 'none', 'others may look')
  if (isRoot) {
    chownSync(join(root, 'shared'), 65_534, 65_534)
    t.match(refusal(join(root, 'shared')), /belongs to another user \(uid 65534\)/)
  }
  t.end()
})

void t.test('what cannot be made says why, and for which directory', (t) => {
  const root = directory(t)
  writeFileSync(join(root, 'file'), '')
  t.match(
    refusal(join(root, 'file/below/it')),
    /^unusableDirectory: .*cannot be written to \(ENOTDIR\): set XDG_STATE_HOME/,
  )
  t.throws(() => makeDirectory(join(root, 'file/below')), { code: 'ENOTDIR' })
  t.match(refusal(join(root, 'file')), /cannot be written to \(E(EXIST|NOTDIR)\)/)
  t.match(refusal('/proc/nothing/can/be/made'), /cannot be written to \(E/)
  t.end()
})
