/** Building and packing: make goes by times, archives are unpacked and made, tables are written line by line. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { fixtures, sides } from '../mount/side-by-side.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
const inputs = fixtures(mounted.root)
const { alike } = sides(mounted, inputs)
const limits = { limitMs: 90_000 }

const project = join(inputs, 'project')
fs.mkdirSync(project)
const makefile = [
  'program: main.o part.o',
  '\\tcc -o $@ $^',
  '%.o: %.c part.h',
  '\\tcc -c -o $@ $<',
  'clean:',
  '\\trm -f program *.o',
  '',
].join('\\n')
fs.writeFileSync(
  join(project, 'Makefile'),
  makefile.replaceAll('\\\\t', '\\t').replaceAll('\\t', '\t').replaceAll('\\n', '\n'),
)
fs.writeFileSync(join(project, 'part.h'), 'int part(void);\n')
fs.writeFileSync(join(project, 'part.c'), '#include "part.h"\nint part(void) { return 42; }\n')
fs.writeFileSync(
  join(project, 'main.c'),
  '#include <stdio.h>\n#include "part.h"\nint main(void) { printf("%d\\n", part()); }\n',
)

await t.test(
  'make builds once, again only what changed, and nothing when nothing did',
  { ...needs('cc', 'gcc'), ...needs('make') },
  async (t) => {
    await alike(
      t,
      'make',
      `cp "$INPUTS"/project/* .; make; ./program; make; sleep 0.02
     sed -i s/42/43/ part.c; make; ./program; make -q && echo 'up to date'
     sleep 0.02; touch part.h; make | wc -l; sleep 2.2; make -q && echo 'still up to date'
     make clean; ls`,
      limits,
    )
  },
)

await t.test('python writes a table line by line, others read it meanwhile', needs('python3'), async (t) => {
  await alike(
    t,
    'csv',
    `python3 - <<'END'
import csv, time
with open('table.csv', 'w', newline='') as file:
    writer = csv.writer(file)
    for n in range(200):
        writer.writerow([n, n * n, 'text, with a comma']); file.flush()
        if n % 50 == 0: print(sum(1 for _ in open('table.csv')))
with open('table.csv', newline='') as file: print(sum(int(row[1]) for row in csv.reader(file)))
END
     tail -n 1 table.csv; wc table.csv`,
    limits,
  )
})

await t.test('python -m zipfile unpacks a wheel, and imports from it', needs('python3'), async (t) => {
  await alike(
    t,
    'wheel',
    `mkdir -p source/package; echo 'answer = 42' > source/package/__init__.py; for i in $(seq 30); do echo "value = $i" > source/package/m$i.py; done
     (cd source; python3 -m zipfile -c ../package-1.0-py3-none-any.whl package)
     mkdir site; python3 -m zipfile -e package-1.0-py3-none-any.whl site; diff -r source site
     PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=site python3 -c 'import package, package.m7; print(package.answer, package.m7.value)'
     python3 -m zipfile -t package-1.0-py3-none-any.whl; rm package-1.0-py3-none-any.whl`,
    limits,
  )
})

/* wheel.py DIR: a wheel with a module, data and a command in it, as a build would leave it */
fs.writeFileSync(
  join(inputs, 'wheel.py'),
  `import base64, hashlib, sys, zipfile
files = {f'small/m{n}.py': f'value = {n}\\n' for n in range(40)}
files['small/__init__.py'] = "def main(): print('it runs')\\n"
files['small/data/table.csv'] = 'a,b\\n' * 500
info = 'small-1.0.dist-info'
files[f'{info}/METADATA'] = 'Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n'
files[f'{info}/WHEEL'] = 'Wheel-Version: 1.0\\nGenerator: by-hand\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'
files[f'{info}/entry_points.txt'] = '[console_scripts]\\nsmall = small:main\\n'
digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()
record = ''.join(f'{name},sha256={digest(text)},{len(text)}\\n' for name, text in files.items())
files[f'{info}/RECORD'] = record + f'{info}/RECORD,,\\n'
with zipfile.ZipFile(sys.argv[1] + '/small-1.0-py3-none-any.whl', 'w') as wheel:
    for name, text in files.items(): wheel.writestr(name, text)
`,
)

await t.test(
  'pip installs a wheel, upgrades it, and the installed command runs',
  needs('pip3', 'python3-pip'),
  async (t) => {
    await mounted.start('python3', [join(inputs, 'wheel.py'), inputs]).ended
    await alike(
      t,
      'pip',
      `install() { python3 -m pip install -q --no-index --no-compile --no-cache-dir --disable-pip-version-check --root-user-action=ignore --target site "$@" "$INPUTS/small-1.0-py3-none-any.whl"; }
     export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=site
     install; ls site site/small | sort; site/bin/small; stat -c %a site/bin/small site/small/m7.py
     install --upgrade; python3 -c 'import small.m39, importlib.metadata as m; print(small.m39.value, m.version("small"), len(m.files("small")))'
     rm -r site/bin`,
      limits,
    )
  },
)

await t.test('python -m venv, once lib64 is there: it would be a link', needs('python3'), async (t) => {
  const refused = await mounted.sh('python3 -m venv --without-pip refused')
  t.match(refused.stderr, /Operation not permitted: 'lib' -> '.*lib64'/)
  const said = await mounted.ok(
    `mkdir -p env/lib64; python3 -m venv --without-pip env 2>/dev/null; env/bin/python3 -c 'import sys; print(sys.prefix == sys.argv[1])' "$PWD/env"`,
    limits,
  )
  t.equal(said, 'True\n')
})

await t.test('npm init, npm pack, and npm install without links to commands', needs('npm'), async (t) => {
  await alike(
    t,
    'npm',
    `mkdir module; cd module; export npm_config_cache="$HOME/npm-cache" npm_config_update_notifier=false npm_config_offline=true
     npm init -y > /dev/null 2>&1; echo 'module.exports = 42' > index.js
     npm pack --silent 2>/dev/null; tar tzf module-1.0.0.tgz | sort; node -p 'require("./index.js")'
     mkdir ../user; cd ../user; npm init -y > /dev/null 2>&1; npm install --silent --no-bin-links --no-fund --no-audit ../module/module-1.0.0.tgz
     node -p 'require("./node_modules/module")'; rm ../module/module-1.0.0.tgz`,
    limits,
  )
})

await t.test(
  'find -newer, diff -r, sha256sum -c, dd and unzip',
  { ...needs('unzip'), ...needs('zip') },
  async (t) => {
    await alike(
      t,
      'sundries',
      `cp -a "$INPUTS/tree" .; touch mark; sleep 0.02; echo new > tree/docs/newer; find tree -newer mark -type f
     find . -newermt '2001-01-01' -name README; find tree -type d | sort
     (cd tree; find . -type f -print0 | sort -z | xargs -0 sha256sum) > sums; (cd tree; sha256sum -c ../sums | grep -vc OK || true)
     echo x >> tree/README; (cd tree; sha256sum -c --quiet ../sums 2>/dev/null || echo 'one differs'); diff -r "$INPUTS/tree" tree || true
     dd if=tree/docs/deep/two.txt of=copy bs=777 status=none; cmp copy tree/docs/deep/two.txt; dd if=/dev/zero of=zeros bs=64k count=40 conv=fsync status=none; wc -c zeros
     dd if=copy of=zeros bs=100 seek=5 count=3 conv=notrunc status=none; head -c 520 zeros | tail -c 20
     zip -qr all.zip tree; unzip -tq all.zip; mkdir out; unzip -q all.zip -d out; diff -r tree out/tree; rm all.zip`,
      limits,
    )
  },
)

await t.test('rsync -a transfers nothing the second time, here and there', needs('rsync'), async (t) => {
  const said = await alike(
    t,
    'rsync',
    `rsync -a "$INPUTS/tree" .; rsync -ai "$INPUTS/tree" .; sleep 2.2; rsync -ai "$INPUTS/tree" .
     rsync -a --inplace --no-whole-file "$INPUTS/tree" .; rsync -a tree/ back; rsync -ai tree/ back; diff -r "$INPUTS/tree" back`,
    limits,
  )
  t.equal(said, '')
})
