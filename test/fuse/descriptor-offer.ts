/**
 * A process that offers a descriptor: `node descriptor-offer.ts SOCKET FILE`. Layer: test.
 *
 * Says `offered`, then a line for each who has taken it, and to them `{"hello":N}`.
 */
import { openSync } from 'node:fs'
import { offerDescriptor, onMessages, sendMessage } from '../../src/fuse/descriptor-passing.ts'

const [path = '', file = ''] = process.argv.slice(2)
let taken = 0
await offerDescriptor(path, openSync(file, 'r'), (socket) => {
  taken += 1
  process.stdout.write(`taken ${taken}\n`)
  socket.write('this is no message\n')
  sendMessage(socket, { hello: taken })
  onMessages(socket, (message) => process.stdout.write(`said ${JSON.stringify(message)}\n`))
  socket.once('close', () => process.stdout.write('gone\n'))
})
process.stdout.write('offered\n')
setInterval(() => undefined, 60_000)
