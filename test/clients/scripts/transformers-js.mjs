/** Loads a tokenizer with transformers.js. Arguments: the repository's id, the endpoint, a folder for its cache, where the library is. */
const [id, endpoint, cacheDir, library] = process.argv.slice(2)
const { AutoConfig, AutoTokenizer, env } = await import(library)
env.remoteHost = `${endpoint}/`
env.cacheDir = cacheDir
env.allowLocalModels = false
const config = await AutoConfig.from_pretrained(id)
const tokenizer = await AutoTokenizer.from_pretrained(id)
const tokens = [...tokenizer('mirror, mirror on the wall').input_ids.data].map(Number)
process.stdout.write(`\n${JSON.stringify({ hidden_size: config.hidden_size, tokens })}\n`)
