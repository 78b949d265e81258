import { mkdir, writeFile } from 'node:fs/promises'
import { formatTable } from '../src/cli/format.ts'
import type { Line } from './rounds.ts'

export interface Conditions {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  readonly quick: boolean
  readonly rounds: number
  readonly seconds: number
}

/** The lines as a table. */
export function formatLines(lines: readonly Line[]): string {
  const number = (value: number) => (value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3))
  const rows = lines.map(({ section, contender, unit, measured, ratio }, index) => [
    lines[index - 1]?.section === section ? '' : section,
    contender,
    measured === undefined ? 'failed' : `${number(measured.median)} ${unit}`,
    measured === undefined || measured.least === measured.most
      ? ''
      : `${number(measured.least)} to ${number(measured.most)}`,
    ratio === undefined ? '' : `${ratio.toFixed(2)}x`,
  ])
  return `${formatTable(['', 'WHO', 'MEDIAN', 'SPREAD', 'MIRRORFACE IS'], rows)}\n`
}

/** Prints the table, and writes it with its conditions as JSON and as a chart. */
export async function writeResults(lines: readonly Line[], conditions: Conditions): Promise<void> {
  process.stdout.write(formatLines(lines))
  const folder = new URL('./results/', import.meta.url)
  await mkdir(folder, { recursive: true })
  const name = conditions.quick ? 'quick' : 'latest'
  await writeFile(
    new URL(`${name}.json`, folder),
    `${JSON.stringify({ at: new Date().toISOString(), conditions, lines }, undefined, 1)}\n`,
  )
  await writeFile(new URL(`${name}.svg`, folder), chart(lines))
}

/** Bars of the ratios: 1 is as fast as MirrorFace's rival. */
function chart(lines: readonly Line[]): string {
  const bars = lines.filter((line) => line.ratio !== undefined)
  const most = Math.min(8, Math.max(...bars.map(({ ratio }) => ratio ?? 0)))
  const scale = 400 / most
  const xml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const drawn = bars.map(({ section, contender, ratio = 0 }, index) => {
    const y = 30 + index * 22
    const width = Math.min(ratio, most) * scale
    return `<text x="390" y="${y + 14}" text-anchor="end">${xml(`${section}: ${contender}`)}</text><rect x="400" y="${y}" width="${width.toFixed(1)}" height="18" fill="${ratio >= 1 ? '#2e7d32' : '#c62828'}"/><text x="${(405 + width).toFixed(1)}" y="${y + 14}">${ratio.toFixed(2)}x</text>`
  })
  const height = 50 + bars.length * 22
  return `<svg xmlns="http://www.w3.org/2000/svg" width="880" height="${height}" font-family="sans-serif" font-size="12" role="img"><title>MirrorFace beside others</title><rect width="100%" height="100%" fill="white"/><text x="10" y="18">MirrorFace beside others (longer is better for MirrorFace; the line is equality)</text>${drawn.join('')}<line x1="${400 + scale}" x2="${400 + scale}" y1="26" y2="${height - 10}" stroke="black"/></svg>\n`
}
