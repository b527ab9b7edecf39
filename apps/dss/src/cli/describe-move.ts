/** The answer of `POST /sources/:source/move`, for people. */
export function describeMove(body: string): string {
  const { moving, to, from } = JSON.parse(body) as { moving: string; to: string | null; from: string | null };
  if (to === null) return `${moving} may run anywhere now (it runs on ${from ?? 'no instance'}).`;
  if (to === from) return `${moving} runs on ${to} already, and stays there while that instance lives.`;
  const next =
    from === null ? 'nobody runs it now, so it is taken there' : `${from} runs it now, drains it and hands it over`;
  return [
    `${moving} is placed on ${to}; ${next}.`,
    'It stays there while that instance lives; then it may run anywhere again.',
    'How it went: GET /leases of DCS; npm run ditto -- move --to any lifts it.',
  ].join('\n');
}
