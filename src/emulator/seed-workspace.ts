/**
 * The content of a newly seeded session: a small agent's workspace with the dotfiles of a fresh home, and
 * the console of its start. Layer: emulator.
 *
 * Invariant: existing files are left alone; it is run once, when the session is made.
 */

import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import type { StoredSession } from './session.ts'

const tickets = Array.from({ length: 40 }, (_, index) => {
  const id = index + 1
  const queue = ['billing', 'delivery', 'account'][index % 3] ?? ''
  return `${id},${queue},${id % 4 === 0 ? 'high' : 'normal'},${3 + ((id * 7) % 50)}`
})

const files: Readonly<Record<string, string>> = {
  '.bashrc': "export PS1='agent:\\w\\$ '\nalias ll='ls -la'\n",
  '.profile': '[ -f "$HOME/.bashrc" ] && . "$HOME/.bashrc"\n',
  '.cache/pip/selfcheck.json': '{"last_check":"2026-06-22T09:14:02Z"}\n',
  'README.md':
    '# Ticket triage\n\nReads `data/tickets.csv`, asks the model for a queue per ticket and writes\n`output/summary.json`. Start: `python agent/main.py`.\n',
  'agent/main.py':
    'import csv\nimport json\nfrom pathlib import Path\n\nfrom tools.score import score\n\nhome = Path.home()\n\n\ndef main() -> None:\n    with open(home / "data" / "tickets.csv", newline="") as source:\n        rows = list(csv.DictReader(source))\n    urgent = [row["id"] for row in rows if score(row) > 1]\n    (home / "output").mkdir(exist_ok=True)\n    (home / "output" / "summary.json").write_text(json.dumps({"tickets": len(rows), "urgent": urgent}))\n    print(f"triaged {len(rows)} tickets")\n\n\nif __name__ == "__main__":\n    main()\n',
  'agent/tools/__init__.py': '',
  'agent/tools/score.py':
    'WEIGHT = {"high": 2, "normal": 1}\n\n\ndef score(row: dict) -> float:\n    return WEIGHT[row["priority"]] * (1 + int(row["hours_open"]) / 48)\n',
  'agent/prompts/triage.md':
    'You sort support tickets. Answer with one queue name: billing, delivery or account.\n',
  'config/agent.yaml': 'model: gpt-5-mini\nmax_turns: 12\nlog_level: info\n',
  'data/tickets.csv': `id,queue,priority,hours_open\n${tickets.join('\n')}\n`,
  'data/archive/2026/05/tickets.csv': 'id,queue,priority,hours_open\n901,billing,high,12\n',
  'data/archive/2026/06/tickets.csv': 'id,queue,priority,hours_open\n955,account,normal,4\n',
  'output/summary.json': '{"tickets": 40, "urgent": ["4", "8", "12"]}\n',
  'output/notes/open questions.txt': 'Who owns tickets that name two queues?\n',
}

const consoleLines = [
  'starting agent triage, version 1',
  'loaded config/agent.yaml',
  'reading data/tickets.csv',
  'triaged 40 tickets',
  'listening on :8088',
]

export function seedWorkspace({ home, console }: StoredSession): void {
  for (const [path, content] of Object.entries(files)) {
    const target = join(home.directory, path)
    fs.mkdirSync(dirname(target), { recursive: true })
    fs.writeFileSync(target, content, { flag: 'wx' })
  }
  console.append(consoleLines)
}
