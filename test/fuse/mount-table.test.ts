import t from 'tap'
import { parseMountTable } from '../../src/fuse/mount-table.ts'

void t.test('the mount table is read with its escapes', (t) => {
  const table = parseMountTable(
    [
      '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '90 22 0:50 / /mnt/a\\040b\\134c rw,nosuid - fuse.mount-session agent/session rw,user_id=0',
      '',
    ].join('\n'),
  )
  t.same(table, [
    { id: 22, directory: '/', type: 'ext4', source: '/dev/sda1', options: ['rw'], device: '8:1' },
    {
      id: 90,
      directory: '/mnt/a b\\c',
      type: 'fuse.mount-session',
      source: 'agent/session',
      options: ['rw', 'user_id=0'],
      device: '0:50',
    },
  ])
  t.end()
})
