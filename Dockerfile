# One image for each service: docker build --build-arg SERVICE=dss -t ditto-dss .
FROM node:24.21-bookworm-slim AS build
WORKDIR /ditto
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY nest-cli.json tsconfig.base.json tsconfig.build.base.json ./
COPY tools/build.ts tools/bundle.ts tools/
COPY libs libs
COPY apps apps
RUN node tools/build.ts

FROM node:24.21-bookworm-slim
# memory of wide rows is given back: see docs/performance.md
ENV NODE_ENV=production MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /ditto
COPY --from=build /ditto/package.json ./
COPY --from=build /ditto/dist dist
COPY deploy/health.sh deploy/
ARG SERVICE
RUN test -n "$SERVICE" || (echo 'Give the service: --build-arg SERVICE=dss, dcs or dws' >&2; exit 1)
ENV DITTO_SERVICE=$SERVICE DITTO_CONFIG=/etc/ditto/ditto.yaml DITTO_LIVENESS_FILE=/dev/shm/ditto-$SERVICE
USER node
HEALTHCHECK --interval=5s --timeout=5s --start-period=2m --retries=3 CMD ["deploy/health.sh"]
# exec: the service itself gets the signals
CMD ["sh", "-c", "exec node dist/$DITTO_SERVICE.mjs"]
