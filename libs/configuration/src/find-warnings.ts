import { findTlsMaterialProblem } from '#kernel';
import { isLoopback } from './find-contradictions.ts';
import { formatPath, type Path } from './problem.ts';
import { type DittoConfig, type HttpListenerConfig } from './schema.ts';
import { Secret } from './secret.ts';
import { findWeakSinks } from './sinks/registry.ts';

/** What is allowed and yet weakens a promise or a secret. `referenced` holds the paths whose text is not in the file. */
export function findWarnings(config: DittoConfig, referenced: ReadonlySet<string>): string[] {
  return [...findLiteralSecrets(config, [], referenced), ...findWeakSinks(config), ...findWeakListeners(config)];
}

function findLiteralSecrets(node: unknown, path: Path, referenced: ReadonlySet<string>): string[] {
  if (node instanceof Secret) {
    const place = formatPath(path);
    if (referenced.has(place) || !holdsPassword(node.reveal())) return [];
    return [`${place} is in the file as plain text; write { env: NAME } or { file: PATH } instead`];
  }
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    findLiteralSecrets(value, [...path, Array.isArray(node) ? Number(key) : key], referenced),
  );
}

/** A connection string without a password gives nothing away. */
function holdsPassword(text: string): boolean {
  const authority = /^[a-z+]+:\/\/([^/?#]*)/.exec(text)?.[1];
  return authority === undefined
    ? text !== ''
    : authority.includes(':') && authority.slice(authority.indexOf(':') + 1).lastIndexOf('@') > 0;
}

function findWeakListeners({ dss, dcs, dws }: DittoConfig): string[] {
  return [
    ...findWeakListener('dss.http', dss.http),
    ...findWeakListener('dcs.http', dcs.http),
    ...findWeakListener('dcs.rpc', dcs.rpc),
    ...findWeakListener('dws.http', dws.http),
  ];
}

function findWeakListener(path: string, { host, tls }: HttpListenerConfig): string[] {
  if (!tls)
    return isLoopback(host)
      ? []
      : [
          `${path} listens on ${host} without TLS, so that tokens and rows pass unencrypted; set ${path}.tls, or listen on 127.0.0.1 behind a proxy with TLS, unless the network is private`,
        ];
  const { ca, cert, key } = tls;
  const found = findTlsMaterialProblem({ ca, cert, key: key.reveal() });
  return found === null ? [] : [`${path}.tls.${found.option} ${found.problem}; renew it: clients refuse it`];
}
