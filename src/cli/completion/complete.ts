/**
 * `mount-session complete -- WORD…`: what the scripts of `completion` ask while a word is typed. Layer: cli.
 *
 * Answers a line for each candidate, `TEXT<tab>WHAT IT IS`, and last a line of directives: `:` and, separated by
 * commas, `file` or `directory` (the shell's own paths are meant), `nospace` (the word may go on).
 *
 * Invariant: prints only candidates that begin with what is typed, and never an error.
 */
import { completionsFor, type Candidate } from './candidates.ts'
import { namesFor } from './names.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const words = argv[0] === '--' ? argv.slice(1) : argv
  const word = words.at(-1) ?? ''
  const { candidates, wanted, before, flags } = completionsFor(words)
  const names = await namesFor(wanted, word.slice(before.length), flags)
  const found = [...candidates, ...names.map(({ text, help }) => ({ text: `${before}${text}`, help }))]
    .filter(({ text }) => text.startsWith(word))
    .filter(({ text }) => isPlain(text))
  const goesOn = found.length > 0 && found.every(({ text }) => /[/:=]$/.test(text))
  const directives = [
    ...(wanted === 'file' || wanted === 'directory' ? [wanted] : []),
    ...(wanted === 'fileOrRemote' ? ['file'] : []),
    ...(wanted === 'mount' && found.length === 0 ? ['directory'] : []),
    ...(goesOn ? ['nospace'] : []),
  ]
  process.stdout.write([...found.map(asLine), `:${directives.join(',')}`, ''].join('\n'))
  return 0
}

/* a name with a line break in it, or a tab, cannot be told to the shell */
function isPlain(text: string): boolean {
  return !/[\u0000-\u001f\u007f]/.test(text)
}

function asLine({ text, help }: Candidate): string {
  return `${text}\t${help.replaceAll(/\s+/g, ' ')}`
}
