import { type FactoryProvider, type Type } from '@nestjs/common';
import { ReadinessIndicator } from './readiness-indicator.ts';

/** The condition that another provider answers: `check` resolves with what is worth showing, or rejects. */
export function provideReadiness<Server>(
  name: string,
  server: Type<Server>,
  check: (server: Server) => ReturnType<ReadinessIndicator['check']>,
): FactoryProvider<ReadinessIndicator> {
  return {
    provide: Symbol(`readiness of ${name}`),
    inject: [server],
    useFactory: (asked: Server) => new ServerReadiness(name, () => check(asked)),
  };
}

class ServerReadiness extends ReadinessIndicator {
  constructor(
    readonly name: string,
    readonly check: ReadinessIndicator['check'],
  ) {
    super();
  }
}
