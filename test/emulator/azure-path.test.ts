import { azureAccount, azureCredentials, startAzureServer } from '../support/azure-server.ts'
import { describeServicePath } from './service-path.ts'

describeServicePath('Azure', async () => {
  const server = await startAzureServer()
  let containers = 0
  return {
    newStorage: async () => {
      const name = `models-${containers++}`
      await server.makeContainer(name)
      return `az://${azureAccount}/${name}/mirror?endpoint=${server.url}&partSize=${5 * 1024 * 1024}`
    },
    environment: { ...azureCredentials },
    signature: /[?&]sp=r&.*sig=[^&]+/,
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  }
})
