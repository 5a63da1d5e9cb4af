import t from 'tap'
import { describeHolders, holdersOf } from '../../src/fuse/mount-holders.ts'
import { mountAt } from '../../src/fuse/mount-table.ts'
import { mounted } from './mounted.ts'

void t.test(
  'who holds a mount is told by place, and by process where that is another namespace',
  async (t) => {
    const { directory } = await mounted(t)
    const holders = holdersOf(mountAt(directory)!.device)
    t.match(holders[0], { directory, process: undefined })
    t.same(holdersOf('0:0'), [])
    t.equal(
      describeHolders([
        { directory: '/mnt/b', process: undefined },
        { directory: '/mnt/c', process: { pid: 12, command: 'bash' } },
      ]),
      '/mnt/b, /mnt/c (bash, pid 12)',
    )
  },
)
