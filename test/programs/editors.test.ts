/** Editors save as they do on a local disk: backups, swap files, and the file itself. */
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { fixtures, sides } from '../mount/side-by-side.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
const { alike } = sides(mounted, fixtures(mounted.root))

await t.test('nano saves, with and without a backup', needs('nano'), async (t) => {
  const said = await alike(
    t,
    'nano',
    `cp "$INPUTS/tree/README" text; chmod 640 text
     save() { (sleep 0.7; printf 'typed \\023'; sleep 0.7; printf '\\030') | script -qec "nano --ignorercfiles $1 text" /dev/null > /dev/null; }
     save ''; cat text; save --backup; cat text; cat text~; stat -c %a text; ls -A`,
  )
  t.match(said, 'typed typed first line')
})

/* vim keeps no backup of what is below /tmp unless it is told to */
await t.test(
  'vim saves with every way of keeping a backup, and leaves no swap file behind',
  needs('vim', 'vim-tiny'),
  async (t) => {
    const said = await alike(
      t,
      'vim',
      `for way in yes no auto; do
       cp "$INPUTS/tree/README" text-$way; chmod 755 text-$way
       script -qec "vim -u NONE -i NONE -N -c 'set backup writebackup backupskip= backupcopy=$way' -c '%s/line/LINE/' -c 'wq' text-$way" /dev/null < /dev/null > /dev/null
       cat text-$way text-$way~; stat -c %a text-$way
     done; ls -A`,
    )
    t.match(said, 'first LINE')
  },
)

await t.test('sed -i, and ed-like replacement over a temporary file', needs('sed'), async (t) => {
  await alike(
    t,
    'sed',
    `cp "$INPUTS/tree/README" text; chmod 600 text
     sed -i s/first/FIRST/ text; sed -i.bak s/second/SECOND/ text; cat text text.bak; stat -c %a text
     for i in 1 2 3 4 5; do sed -i "s/third.*/third $i/" text; done; tail -n 1 text; ls -A
     perl -pi -e 's/FIRST/1st/' text; cat text; sort -o text text; head -n 1 text`,
  )
})
