import t from 'tap'
import { replaceSection } from '../../scripts/bench/report.ts'

const document = '# Results\n\nAbout them.\n\n## One\n\nold\n\n## Two\n\nkept\n'

void t.test('a section is replaced where it stands', (t) => {
  const changed = replaceSection(document, 'One', 'new\n')
  t.equal(changed, '# Results\n\nAbout them.\n\n## One\n\nnew\n\n## Two\n\nkept\n')
  t.equal(replaceSection(changed, 'One', 'new'), changed)
  t.end()
})

void t.test('one that is not there is added at the end', (t) => {
  t.equal(replaceSection(document, 'On', 'new'), `${document}\n## On\n\nnew\n`)
  t.end()
})
