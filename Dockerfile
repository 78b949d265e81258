# syntax=docker/dockerfile:1

# Production dependencies alone, in a layer that changes only with the lock file.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY scripts/newer-node scripts/newer-node
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY scripts/newer-node scripts/newer-node
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/clean.js scripts/clean.js
COPY bin bin
COPY src src
COPY plugins plugins
COPY test/conformance test/conformance
RUN npm run build

FROM node:24-slim
LABEL org.opencontainers.image.title="MirrorFace" \
      org.opencontainers.image.description="A mirror and transparent proxy for the Hugging Face Hub" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=16 \
    MIRRORFACE_LOCAL_DIRECTORY=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/oclif.manifest.json oclif.manifest.json
COPY package.json README.md LICENSE ./
COPY bin bin
# Nothing below / is written to: /data holds the mirror, /tmp what is under way.
USER 1000:1000
VOLUME ["/data"]
EXPOSE 8000 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MIRRORFACE_PORT ?? 8000}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/mirrorface.js"]
CMD ["serve"]
