/**
 * What a signature of the package names can be named by who uses it: the declarations are built and read.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const built = mkdtempSync(join(tmpdir(), 'mount-session-types-'))
t.teardown(() => rmSync(built, { recursive: true }))

/** The names in the signatures of what index.ts exports that it does not export itself. */
function unnameable(index: string): string[] {
  const program = ts.createProgram([index], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2024.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    typeRoots: [join(process.cwd(), 'node_modules', '@types')],
    skipLibCheck: true,
  })
  const checker = program.getTypeChecker()
  const resolved = (symbol: ts.Symbol): ts.Symbol =>
    (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
  const source = program.getSourceFile(index)!
  const exported = new Set(checker.getExportsOfModule(checker.getSymbolAtLocation(source)!).map(resolved))
  const missing = new Set<string>()
  for (const symbol of exported)
    for (const declaration of symbol.declarations ?? []) visit(declaration, symbol.name)
  return [...missing].sort()

  function visit(node: ts.Node, owner: string): void {
    if (isPrivate(node)) return
    for (const name of namesIn(node)) {
      const symbol = checker.getSymbolAtLocation(name)
      if (symbol !== undefined && isOurs(resolved(symbol)) && !exported.has(resolved(symbol)))
        missing.add(`${owner}: ${name.getText()}`)
    }
    ts.forEachChild(node, (child) => visit(child, owner))
  }

  function isOurs(symbol: ts.Symbol): boolean {
    const isParameter = (symbol.flags & ts.SymbolFlags.TypeParameter) !== 0
    const [declaration] = symbol.declarations ?? []
    return !isParameter && declaration !== undefined && declaration.getSourceFile().fileName.startsWith(built)
  }
}

function isPrivate(node: ts.Node): boolean {
  if (!ts.isClassElement(node)) return false
  const isHidden = node.name !== undefined && ts.isPrivateIdentifier(node.name)
  return isHidden || (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0
}

function namesIn(node: ts.Node): ts.Node[] {
  if (ts.isTypeReferenceNode(node)) return [node.typeName]
  if (ts.isExpressionWithTypeArguments(node)) return [node.expression]
  if (ts.isImportTypeNode(node) && node.qualifier !== undefined) return [node.qualifier]
  return []
}

void t.test('every type that a signature names is exported', (t) => {
  const tsc = join('node_modules', '.bin', 'tsc')
  const build = ['--project', 'scripts/tsconfig.build.json', '--emitDeclarationOnly', '--outDir', built]
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...build], { encoding: 'utf8' })
  t.equal(status, 0, stdout)
  t.strictSame(unnameable(join(built, 'index.d.ts')), [])
  t.end()
})
