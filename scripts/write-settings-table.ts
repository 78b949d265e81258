/** Writes the README's table of settings from src/config; with `--check`, only compares. */
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { defaultDirectory, type Setting, settings } from '../src/config/index.ts'

const path = new URL('../README.md', import.meta.url)
const rows = Object.entries(settings).map(([name, setting]: [string, Setting]) => {
  const fallback =
    setting.default === defaultDirectory
      ? '`~/.local/share/mirrorface/storage`'
      : setting.default === undefined
        ? ''
        : `\`${JSON.stringify(setting.default).replace(tmpdir(), '$TMPDIR')}\``
  return `| \`${name}\` | ${setting.env === undefined ? '' : `\`${setting.env}\``} | ${fallback} | ${setting.description} |`
})
const table = ['| Key in the file | Environment | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n')
const readme = await readFile(path, 'utf8')
const marks = /(<!-- settings -->)[\s\S]*?(<!-- \/settings -->)/
if (!marks.test(readme)) throw new Error('README.md has no <!-- settings --> marks')
const updated = readme.replace(marks, (_whole, before: string, after: string) => `${before}\n${table}\n${after}`)
if (process.argv.includes('--check')) {
  if (updated !== readme) {
    console.error('The table of settings in README.md is out of date: npm run docs')
    process.exit(1)
  }
} else await writeFile(path, updated)
