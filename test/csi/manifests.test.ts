/**
 * What the manifests name is what the program is called and takes. The API server checks their form: scripts/kubernetes/try.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { commandList } from '../../src/cli/table/command-list.ts'
import { readCommand } from '../../src/cli/command-line.ts'
import { driverName } from '../../src/csi/identity-service.ts'
import { readClass } from '../../src/csi/volume-class.ts'
import { readVolume, tokenAudience } from '../../src/csi/volume-attributes.ts'
import { mountCapability } from './rig.ts'

const directory = join(import.meta.dirname, '../../scripts/kubernetes')
const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.yaml'),
)
const text = (file: string): string => readFileSync(join(directory, file), 'utf8')
const all = files.map(text).join('\n---\n')

/** What stands behind a key, wherever it does. */
function valuesOf(key: string, of = all): readonly string[] {
  return [...of.matchAll(new RegExp(`(?:^|[ {])${key}: ([^\\s,}]+)`, 'gm'))].map(([, value = '']) => value)
}

/** The texts of each map of a name, of one line each. */
function mapsOf(name: string, of: string): readonly Readonly<Record<string, string>>[] {
  return [...of.matchAll(new RegExp(`^( *)${name}:\\n((?:\\1  .*\\n)+)`, 'gm'))].map(([, , lines = '']) =>
    Object.fromEntries(
      [...lines.matchAll(/^ *([^\s#:]+): ([^#\n]+)/gm)].map(([, key = '', value = '']) => [
        key,
        value.trim(),
      ]),
    ),
  )
}

void t.test('the driver has one name, and the audience is that of its tokens', (t) => {
  t.same(new Set([...valuesOf('driver'), ...valuesOf('provisioner')]), new Set([driverName]))
  t.match(text('csi-driver.yaml'), `name: ${driverName}\n`)
  t.same(valuesOf('audience'), [tokenAudience])
  t.end()
})

void t.test(
  'the driver is started with options that it has, and has its default directories of the node',
  (t) => {
    const lines = [...all.matchAll(/args: \[(csi\b.*)\]/g)].map(([, line = '']) => line.split(', '))
    t.equal(lines.length, 2)
    for (const [command = '', ...argv] of lines) {
      t.equal(command, 'csi')
      t.ok(readCommand('csi', argv))
    }
    const { kubeletDirectory, runDirectory, stateDirectory } = commandList.csi.options
    const node = text('driver.yaml')
    for (const { help } of [kubeletDirectory, runDirectory, stateDirectory]) {
      const [, path = ''] = /default: ([^)]+)\)/.exec(help) ?? []
      t.match(node, `mountPath: ${path}\n`)
      t.match(node, `hostPath: { path: ${path}, `)
    }
    for (const { help } of [runDirectory, stateDirectory]) {
      const [, path = ''] = /default: ([^)]+)\)/.exec(help) ?? []
      t.match(text('driver-admission.yaml'), `path.startsWith('${path}/')`)
    }
    t.end()
  },
)

void t.test('what the examples say of volumes and storage classes is understood', (t) => {
  const examples = files.filter((file) => file.startsWith('example-'))
  const names = (words: string): string =>
    words.replaceAll(/\b(ACCOUNT|PROJECT)\b/g, (word) => word.toLowerCase())
  let volumes = 0
  for (const file of examples) {
    const volumeCapability = mountCapability()
    for (const attributes of mapsOf('volumeAttributes', names(text(file)))) {
      const secrets = text(file).includes('nodePublishSecretRef') ? { token: 'token' } : {}
      const tokens = JSON.stringify({ [tokenAudience]: { token: 'token' } })
      const volumeContext = { ...attributes, 'csi.storage.k8s.io/serviceAccount.tokens': tokens }
      t.ok(readVolume({ volumeContext, secrets, volumeCapability, readonly: false }), file)
      volumes += 1
    }
    for (const parameters of mapsOf('parameters', names(text(file)))) {
      t.match(readClass(parameters, { token: 'token' }, [volumeCapability]), {
        agent: 'AGENT',
        isDeleted: true,
      })
      volumes += 1
    }
  }
  t.equal(volumes, 4)
  t.end()
})

void t.test('every manifest is one of a kustomization, or an example', (t) => {
  const named = files
    .filter((file) => file.endsWith('kustomization.yaml'))
    .flatMap((file) =>
      [...text(file).matchAll(/^ {2}- (\S+\.yaml)$/gm)].map(([, name = '']) => join(file, '..', name)),
    )
  const others = files.filter((file) => !file.endsWith('kustomization.yaml') && !file.startsWith('example-'))
  t.same(named.toSorted(), others.toSorted())
  t.end()
})

void t.test('the driver may make what its mount Pods and events are, and reads no secrets', (t) => {
  const rules = [...text('driver-access.yaml').matchAll(/resources: \[(.+)\]\n +verbs: \[(.+)\]/g)]
  t.same(
    rules.map(([, resources, verbs]) => `${resources}: ${verbs}`),
    ['events: create', 'pods: create, get, list, delete'],
  )
  t.end()
})
