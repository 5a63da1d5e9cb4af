/**
 * Programs that go through a tree each in its own order: what they will come to is asked for before they do.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { needs } from '../programs/installed.ts'
import { eventually } from './programs.ts'
import { mountEmulator } from './rig.ts'

const files = 60
/* a machine that is busy may take a program's first steps for those of two: by then it is known to go through all */
const seen = 8
/* far more than the kernel or a program asks for by itself */
const ahead = 20

const programs: readonly (readonly [program: string, script: string])[] = [
  ['cp', 'cp -r tree "$OUT"'],
  ['mv', 'mv tree "$OUT"'],
  ['tar', 'tar -cf "$OUT/tar" tree'],
  ['rsync', 'rsync -a tree "$OUT"'],
  ['zip', 'zip -qr "$OUT/zip" tree'],
  ['grep', 'grep -rc line tree >"$OUT/counts"'],
  ['find', 'find tree -type f -exec cat {} + >"$OUT/all"'],
  ['sh', 'cat tree/* >"$OUT/all"'],
  ['python3', `python3 -c 'import os, shutil; shutil.copytree("tree", os.environ["OUT"] + "/copy")'`],
]

for (const [program, script] of programs) {
  void t.test(
    `what comes next is under way before a program asks for it: ${script}`,
    needs(program),
    async (t) => {
      const { emulator, startSh, root, env } = await mountEmulator(t)
      const tree = join(emulator.home, 'tree')
      fs.mkdirSync(tree)
      for (let i = 0; i < files; i++) fs.writeFileSync(join(tree, `file-${(i * 7) % files}`), `line ${i}\n`)
      const out = join(root, 'out')
      fs.mkdirSync(out)
      const hold = emulator.hold({ verb: 'download', after: seen })
      const running = startSh(script, { env: { ...env, OUT: out } })
      const asked = (): number => emulator.calls().filter(({ verb }) => verb === 'download').length
      t.ok(await eventually(() => asked() >= ahead), `${asked()} of ${files} are under way`)
      hold.release()
      t.match(await running.ended, { code: 0, stderr: '' })
      t.equal(asked(), files, 'each file once')
    },
  )
}
