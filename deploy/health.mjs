// The image's health check: asks the service's own /health/live.
const defaults = { dss: 7401, dcs: 7402, dws: 7403 };
const service = process.env.DITTO_SERVICE;
const port = process.env[`DITTO_${service.toUpperCase()}_HTTP_PORT`] ?? defaults[service];
const answer = await fetch(`http://127.0.0.1:${port}/health/live`, { signal: AbortSignal.timeout(3000) });
process.exit(answer.ok ? 0 : 1);
