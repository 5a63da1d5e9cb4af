/** git at length: branches, rebase, gc, and a clone of what came of it. */
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { fixtures, sides } from '../mount/side-by-side.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
const { alike } = sides(mounted, fixtures(mounted.root))
const limits = { limitMs: 120_000 }

await t.test('git init, add, commit, branches, merge, rebase, stash and gc', needs('git'), async (t) => {
  await alike(
    t,
    'git',
    `git init -q -b main repository; cd repository
     cp -r "$INPUTS/tree/." .; git add -A; git commit -q -m first; git status --porcelain
     git checkout -q -b side; for i in 1 2 3; do echo "side $i" >> README; git commit -q -a -m "side $i"; done
     git checkout -q main; echo other > other; git add other; git commit -q -m other; ls; tail -n 1 README
     git checkout -q side; git rebase -q main; git log --format='%s %t'; cat other; tail -n 1 README
     git checkout -q main; git merge -q --ff-only side; git rm -q docs/one.txt; git mv src code; git commit -q -m moved
     git status --porcelain; git diff --stat HEAD~1 | tail -n 1
     echo unfinished >> README; git stash -q; tail -n 1 README; git stash pop -q; tail -n 1 README; git checkout -q README
     git gc -q --prune=now; git count-objects | cut -d, -f1; git fsck --strict; git log -n 3 --format='%s %t'
     cd ..; git clone -q repository clone; diff -r --exclude=.git repository clone; (cd clone; git status --porcelain; git log -n 1 --format=%t)
     git -C clone worktree add -q ../worktree HEAD~2; ls worktree; git -C clone worktree remove ../worktree
     rm -rf repository/.git clone/.git`,
    limits,
  )
})
