/**
 * Carries out operations below a directory and says of each when it was answered. Layer: tests, run as a program:
 * `worker.ts DIRECTORY < operations.json`.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Operation } from './operations.ts'

const [, , directory = ''] = process.argv
const operations = JSON.parse(fs.readFileSync(0, 'utf8')) as Operation[]
const opened = new Map<string, number>()

const storeToPages = `
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    pages = mmap.mmap(file.fileno(), 0)
    at = int(sys.argv[2]); text = sys.argv[3].encode()
    pages[at:at + len(text)] = text
    pages.flush()
`

/* the child stays as long as this program does, and its mapping with it */
const storeAndStay = `
import mmap, os, sys, time
done, said = os.pipe()
if os.fork():
    os.close(said)
    sys.exit(0 if os.read(done, 1) else 1)
os.close(done)
file = open(sys.argv[1], 'r+b')
pages = mmap.mmap(file.fileno(), 0)
at = int(sys.argv[2]); text = sys.argv[3].encode()
pages[at:at + len(text)] = text
os.write(said, b'.')
while os.path.exists('/proc/' + sys.argv[4]): time.sleep(0.2)
os._exit(0)
`

function perform(operation: Operation): void {
  const path = join(directory, operation.path)
  const descriptor = opened.get(operation.path)
  switch (operation.do) {
    case 'create':
      opened.set(operation.path, fs.openSync(path, 'w+'))
      break
    case 'write': {
      const fd = descriptor ?? fs.openSync(path, 'r+')
      const size = operation.at ?? fs.fstatSync(fd).size
      fs.writeSync(fd, operation.text, size)
      if (descriptor === undefined) fs.closeSync(fd)
      break
    }
    case 'map': {
      const { status } = spawnSync('python3', [
        '-c',
        storeToPages,
        path,
        String(operation.at),
        operation.text,
      ])
      if (status !== 0) throw new Error('not stored')
      break
    }
    case 'stain': {
      const { at, text } = operation
      const args = ['-c', storeAndStay, path, String(at), text, String(process.pid)]
      if (spawnSync('python3', args, { stdio: 'ignore' }).status !== 0) throw new Error('not stored')
      break
    }
    case 'truncate':
      fs.truncateSync(path, operation.size)
      break
    case 'close':
      if (descriptor !== undefined) fs.closeSync(descriptor)
      opened.delete(operation.path)
      break
    case 'rename':
      fs.renameSync(path, join(directory, operation.to))
      break
    case 'unlink':
      fs.unlinkSync(path)
      break
    case 'mkdir':
      fs.mkdirSync(path)
      break
    case 'rmdir':
      fs.rmdirSync(path)
      break
  }
}

for (const operation of operations) {
  try {
    perform(operation)
  } catch (error) {
    process.stderr.write(`${JSON.stringify(operation)}: ${String(error)}\n`)
    process.exit(1)
  }
  process.stdout.write('.')
}
/* what is open stays open until the daemon is gone, or we are */
process.stdout.write('!')
setInterval(() => undefined, 1000)
