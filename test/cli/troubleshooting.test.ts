/**
 * What a person may read is in troubleshooting.md, or says itself what to do; and what stands there is said.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { errnoByReason } from '../../src/fuse/errno.ts'
import { constants } from 'node:os'

const root = join(import.meta.dirname, '..', '..')
const table = readFileSync(join(root, 'src', 'cli', 'troubleshooting.md'), 'utf8')

/** The texts in the first column; `…` stands for anything. */
const keys = table
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .flatMap((line) => [...(line.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, key = '']) => key))

/** With `…` for what depends on the machine. */
function general(text: string): string {
  return text.replaceAll(/\/dev\/fuse|\/etc\/fuse\.conf|fusermount3/g, '…').replaceAll(/…+/g, '…')
}

/** Where the message is among the arguments. */
const messageAt: Readonly<Record<string, number>> = {
  ...{ CommandFailure: 0, SessionError: 1, KernelMountError: 1, ControlError: 1, ServiceError: 1 },
  ProxyFailure: 1,
  TransferError: 2,
  ...{ raise: 1, WriteBackError: 2 },
}

/** Says what to do, or what it must be. */
const remedy = new RegExp(
  [
    ...[
      'make it first',
      'mount on an empty',
      'make a new one',
      'az login',
      'see --',
      'ask as that one',
      'use https',
      'set it, or',
      'that can be written to',
    ],
    ...[
      'is not an https address',
      'must be',
      'not NAME',
      'beside it',
      'mount …/… again',
      'is not the name of',
    ],
    ...[
      'Leave it and try again',
      'mount … again',
      'is not well-formed text',
      'takes it out',
      'trying again',
      'download it again',
    ],
    ...[
      'is kept on this machine',
      'try again',
      'give -r',
      'rename it',
      'move it away',
      'leave it out',
      'leave out',
      'see above',
      'leave such files out',
      'nothing is waiting at',
      'lists what there is',
      'leave out the slash',
      'give -r to',
    ],
  ].join('|'),
)

/** Seen by nobody: the one who waited has gone, or is asked again at once. */
const unseen =
  /nobody waits|gave up$|interrupted|client was closed|stopped$|while it was opened|not mounted$|still mounted$|request failed$|cannot be sent like this| failed: …$/

interface Message {
  readonly where: string
  readonly text: string
}

function messagesIn(file: string): Message[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  )
  const found: Message[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) || ts.isCallExpression(node)) {
      const called = node.expression.getText()
      const given = node.arguments ?? []
      const at = /logger\.(error|warn)$/.test(called) ? given.length - 1 : messageAt[called]
      const message = at === undefined ? undefined : given[at]
      for (const text of message === undefined ? [] : textsOf(message))
        if (/[a-z]{4}/.test(text)) found.push({ where: file, text })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function textsOf(node: ts.Expression): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)]
  if (ts.isBinaryExpression(node)) return [textsOf(node.left).join('') + textsOf(node.right).join('')]
  if (!ts.isTemplateExpression(node)) return ['…']
  return [node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')]
}

const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.startsWith('src/emulator'))
const messages = files.flatMap(messagesIn)

void t.test('every message has its entry, or says itself what to do', (t) => {
  t.ok(messages.length > 80, `${messages.length} messages`)
  for (const { where, text } of messages) {
    const isThere =
      keys.some((key) => general(text).includes(general(key))) || remedy.test(text) || unseen.test(text)
    if (!isThere) t.fail(`${where}: ${text}`)
  }
  t.end()
})

/** What these say of a path is the same on every filesystem. */
const ordinary = 'ENOENT EEXIST ENOTEMPTY EISDIR ENOTDIR EINVAL EBADF ENXIO EBUSY ENAMETOOLONG'.split(' ')

void t.test('every errno that needs an explanation has one', (t) => {
  const needed = new Set(Object.values(errnoByReason))
  for (const [name, number] of Object.entries(constants.errno)) {
    if (!needed.has(number) || ordinary.includes(name) || name === 'ENOTSUP') continue
    t.ok(table.includes(`(${name})`), name)
  }
  t.end()
})

/** What other programs say, or `status` shows. */
const fromElsewhere =
  /^[A-Z]|^NAME|^\.|^http$|^connect$|^timeout$|^parked$|^sync$|^fsync$|^status$|^python -m venv$|^npm install$/

void t.test('every entry is about something that is said', (t) => {
  const sources = files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
  const said = sources.replaceAll(/\$\{[^}]*\}/g, '…')
  for (const key of keys) {
    const pieces = general(key)
      .split('…')
      .filter((piece) => piece.trim() !== '')
    const isSaid = pieces.every((piece) => said.includes(piece.trim()))
    t.ok(isSaid || fromElsewhere.test(key), key)
  }
  t.end()
})
