import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { announceMount, findMount, forgetMount, listMounts } from '../../src/control/registry.ts'
import type { MountRecord } from '../../src/control/registry.ts'

const record = (directory: string, pid = 1): MountRecord => ({
  directory,
  stateDirectory: `/state/${pid}`,
  pid,
  agent: 'agent',
  session: 'session',
})

void t.test('a mount is found by its directory, by what is in it, and through symbolic links', async (t) => {
  const root = t.testdir({ mnt: {}, state: {} })
  const state = join(root, 'state')
  const directory = join(root, 'mnt')
  symlinkSync(root, join(root, 'link'))
  symlinkSync(directory, join(root, 'alias'))
  t.equal(await findMount(state, directory), undefined)
  announceMount(state, record(directory))
  t.match(await findMount(state, directory), { record: { pid: 1 }, path: '' })
  t.match(await findMount(state, `${directory}/`), { record: { pid: 1 }, path: '' })
  t.match(await findMount(state, join(directory, 'a/b')), { path: 'a/b' })
  t.match(await findMount(state, join(root, 'link', 'mnt')), { path: '' })
  t.match(await findMount(state, join(root, 'alias')), { path: '' })
  t.equal(await findMount(state, `${directory}-other`), undefined)
  t.equal(await findMount(state, root), undefined)
})

void t.test('of nested mounts the inner one is found', async (t) => {
  const state = t.testdir()
  announceMount(state, record('/outer', 1))
  announceMount(state, record('/outer/inner', 2))
  t.match(await findMount(state, '/outer/inner/x'), { record: { pid: 2 }, path: 'x' })
  t.match(await findMount(state, '/outer/x'), { record: { pid: 1 }, path: 'x' })
})

void t.test('a mount takes back only its own announcement', (t) => {
  const state = t.testdir()
  const takeBackFirst = announceMount(state, record('/mnt/s', 1))
  const takeBackSecond = announceMount(state, record('/mnt/s', 2))
  takeBackFirst()
  t.match(listMounts(state), [{ pid: 2 }])
  takeBackSecond()
  t.same(listMounts(state), [])
  announceMount(state, record('/mnt/s', 3))
  forgetMount(state, record('/mnt/s', 3))
  t.same(listMounts(state), [])
  t.end()
})

void t.test('what is not a record is passed over', (t) => {
  const state = t.testdir({ mounts: { 'a.json': '{', 'b.json': '{"pid":"x"}' } })
  mkdirSync(join(state, 'mounts', 'c.json'))
  t.same(listMounts(state), [])
  t.end()
})
