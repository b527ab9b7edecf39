# One image for each service: docker build --build-arg SERVICE=dss -t ditto-dss .
# All three have the same files, in one layer that they share; they differ in what they start.
# Another base, such as one of your own registry: --build-arg NODE_IMAGE=…
# Where npm is configured or trusts other authorities: --secret id=npmrc,src=$HOME/.npmrc --secret id=ca,src=ca.pem
ARG NODE_IMAGE=node:24.21-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
  if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
  npm ci --no-audit --no-fund
COPY nest-cli.json tsconfig.base.json tsconfig.build.base.json ./
COPY tools/build.ts tools/bundle.ts tools/source-map-lines.ts tools/
COPY libs libs
COPY apps apps
COPY deploy/health.sh deploy/
# V8's compile cache is of this user, folder and heap limit: of no use in the image
RUN node tools/build.ts && rm -rf dist/compile-cache && mkdir /ditto && mv package.json dist deploy /ditto \
  # of whichever user the services run as; a volume there begins with this mode
  && mkdir -m 1777 /ditto/folds
ARG SERVICE
RUN test -n "$SERVICE" || (echo 'Give the service: --build-arg SERVICE=dss, dcs or dws' >&2; exit 1)

FROM ${NODE_IMAGE}
COPY --from=build /ditto /ditto
WORKDIR /ditto
# memory of wide rows is given back: see docs/performance.md; the heap gets half of the container's memory
ENV NODE_ENV=production MALLOC_MMAP_THRESHOLD_=131072 NODE_OPTIONS=--max-old-space-size-percentage=50
ARG SERVICE
ENV DITTO_SERVICE=$SERVICE DITTO_CONFIG=/etc/ditto/ditto.yaml DITTO_LIVENESS_FILE=/dev/shm/ditto-$SERVICE
# a number, so that an orchestrator can see that it is not root
USER 1000:1000
HEALTHCHECK --interval=5s --timeout=5s --start-period=2m --retries=3 CMD ["deploy/health.sh"]
# exec: the service itself gets the signals
CMD ["sh", "-c", "exec node dist/$DITTO_SERVICE.mjs"]
