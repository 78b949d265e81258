import { createReadStream } from 'node:fs'
import Koa from 'koa'

const [, , port, file] = process.argv
new Koa()
  .use((ctx) => {
    ctx.body = createReadStream(file)
  })
  .listen(Number(port), '127.0.0.1')
