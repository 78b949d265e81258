import html from 'html-template-tag'

/** The page's style: readable on a phone and in the dark, with what the system has. */
const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --bad: #c62828; --good: #2e7d32; --link: #1565c0 }
@media (prefers-color-scheme: dark) { :root { --bad: #ef9a9a; --good: #a5d6a7; --link: #90caf9 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem }
a { color: var(--link) } h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td, p { overflow-wrap: break-word } code, pre { font: .9em/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; border-radius: .4rem; overflow-x: auto }
@media (max-width: 40rem) {
  thead { display: none } tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line) }
  td, td.number { display: flex; gap: 1rem; justify-content: space-between; border: 0; padding: .15rem 0; text-align: right; white-space: normal }
  td > * { min-width: 0; overflow-wrap: anywhere } td::before { content: attr(data-label); opacity: .75; white-space: nowrap } td:empty { display: none }
}
.good { color: var(--good) } .bad { color: var(--bad) } .quiet { opacity: .75 }
`

/** Nothing is loaded, run or sent anywhere: only the style above applies. */
export function pagePolicy(styleHash: string): string {
  return `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

export { style }

/** A whole document. `body` is HTML already. */
export function renderDocument(title: string, body: string): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>$${style}</style>
</head>
<body>
$${body}
</body>
</html>
`
}

/**
 * A table; on a phone each row is a block of its own, with the columns' names before the values. Cells
 * are HTML already; columns named in `numbers` are right-aligned.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly string[],
): string {
  const isNumber = head.map((name) => numbers.includes(name))
  const classOf = (column: number) => (isNumber[column] === true ? ' class="number"' : '')
  const headCells = head.map((name, column) => `<th${classOf(column)}>${name}</th>`)
  const cells = (row: readonly string[]) =>
    row.map((cell, column) => `<td${classOf(column)} data-label="${head[column]}">${cell}</td>`)
  return `<div class="scroll"><table><thead><tr>${headCells.join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${cells(row).join('')}</tr>`).join('\n')}</tbody></table></div>`
}
