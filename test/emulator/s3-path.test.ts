import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { s3Credentials, startS3Server } from '../support/s3-server.ts'
import { describeServicePath } from './service-path.ts'

describeServicePath('S3', async () => {
  const server = await startS3Server()
  let buckets = 0
  return {
    newStorage: async () => {
      const name = `models-${buckets++}`
      await server.makeBucket(name)
      return `s3://${name}/mirror?endpoint=${server.url}&partSize=${5 * 1024 * 1024}`
    },
    environment: { ...s3Credentials },
    signature: /X-Amz-Algorithm=AWS4-HMAC-SHA256.*X-Amz-Signature=[0-9a-f]+/,
    unfinished: async (storage) => {
      const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = s3Credentials
      const credentials = { accessKeyId, secretAccessKey }
      const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true, credentials })
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: new URL(storage).host }))
      client.destroy()
      return Uploads.length
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
    },
  }
})
