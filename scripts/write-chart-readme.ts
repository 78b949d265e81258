/** Writes the chart's README from its values and their comments, or checks that it is as they say (`--check`). */
import { readFileSync, writeFileSync } from 'node:fs'
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml'

const values = parseDocument(readFileSync(new URL('../helm/values.yaml', import.meta.url), 'utf8'))
const target = new URL('../helm/README.md', import.meta.url)

const text = `# mirrorface-server

The Helm chart of MirrorFace: a mirror and transparent proxy for the Hugging Face Hub, on your own storage.

\`\`\`sh
helm install mirrorface ./helm --set bucketName=my-bucket
\`\`\`

It prints the \`HF_ENDPOINT\` that clients set. \`helm test mirrorface\` says whether the server is ready.

- **A bucket through GCS FUSE** (\`storage.mode: fuse\`, the default): GKE's CSI driver mounts it read-only. Give the service account workload identity (\`serviceAccount.annotations\`) and roles/storage.objectViewer. With \`storage.fuse.fileCache.enabled\` hot weights are served from the node's disk.
- **A bucket without a mount** (\`storage.mode: bucket\`): works on any cluster. With \`config.delivery: redirect\` the bytes go from the bucket to the clients, past the pods.
- **A volume** (\`storage.mode: pvc\`).

The CronJobs \`mirror\` and \`verify\` work on the bucket itself, so their service account needs roles/storage.objectUser where they are enabled.

## Values

| Value | Meaning | Default |
|---|---|---|
${rows(values.contents as YAMLMap, '').join('\n')}
`

if (!process.argv.includes('--check')) writeFileSync(target, text)
else if (readFileSync(target, 'utf8') !== text) {
  process.stderr.write('helm/README.md is not what helm/values.yaml says: run npm run docs\n')
  process.exitCode = 1
}

function rows(map: YAMLMap, prefix: string): string[] {
  return map.items.flatMap((pair, index) => {
    const { key, value } = pair as Pair
    const name = `${prefix}${String(isScalar(key) ? key.value : key)}`
    // The comment before a map's first key is the map's.
    const comment = commentOf((key as Commented).commentBefore ?? (index === 0 ? map.commentBefore : undefined))
    // What has a comment of its own is one value; what has none is a group, or speaks for itself.
    const isGroup = isMap(value) && value.items.length > 0
    if (isGroup && (comment === '' || prefix === '')) {
      const own = comment === '' ? [] : [`| \`${name}\` | ${comment} | |`]
      return [...own, ...rows(value, `${name}.`)]
    }
    const plain = JSON.stringify((value as { toJSON(): unknown }).toJSON())
    return [`| \`${name}\` | ${comment} | \`${plain}\` |`]
  })
}

interface Commented {
  readonly commentBefore?: string | null
}

function commentOf(text: string | null | undefined): string {
  const lines = (text ?? '').split('\n').map((line) => line.trim())
  const start = lines.findLastIndex((line) => line.startsWith('-- '))
  return start === -1 ? '' : lines.slice(start).join(' ').replace(/^-- /, '').replaceAll('|', '\\|')
}
