# The gateway's image. The native library has a build for either of these two bases, and both are tested:
#   docker build -t ws-gateway .
#   docker build -t ws-gateway --build-arg BASE=node:20-bookworm-slim .
ARG BASE=node:24-trixie-slim

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY cmd cmd
COPY internal internal
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# uWebSockets.js brings a native binary for every platform and Node: this one's stays, and it has to load.
RUN native="$(node -p '`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`')" && \
    find node_modules/uWebSockets.js -type f ! -name "$native" \
      ! -name uws.js ! -name ESM_wrapper.mjs ! -name package.json ! -name LICENSE -delete && \
    find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete && \
    find node_modules -depth -type d -empty -delete && \
    node -e "require('uWebSockets.js')"

FROM ${BASE}
ARG BASE
LABEL org.opencontainers.image.title="ws-gateway" \
      org.opencontainers.image.description="WebSocket gateway for MQTT and raw WebSocket clients, authenticated by JWT" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/${BASE}"
# Nothing is installed in a running container.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*
WORKDIR /app
COPY --chmod=444 package.json LICENSE deploy/docker/healthcheck.js ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
ENV NODE_ENV=production
# By number, so that a platform can tell that it is not root; it owns no file.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["node", "/app/healthcheck.js"]
ENTRYPOINT ["node", "/app/dist/cmd/main.js"]
