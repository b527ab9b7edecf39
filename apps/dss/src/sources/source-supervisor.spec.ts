import { describe, expect, it } from '@jest/globals';
import { type LeaseAnswer, type LeaseRequest } from '#dcs-client';
import { DittoError, silentLogger } from '#kernel';
import { type Grant } from '#replication';
import { type HandOver, LeaseKeeper } from './lease-keeper.ts';
import { type OwnershipHooks, type SourceRun, type SwitchOutcome } from './source-run.ts';
import {
  SourceSupervisor,
  type OpenSource,
  type SourceMove,
  type SourceSupervisorOptions,
} from './source-supervisor.ts';

/** Gives every request a lease with the next token, until it is revoked. */
class FreeOffice {
  token = 0;
  released = 0;
  /** Nobody can give a lease back. */
  isSilent = false;
  readonly handedTo: (string | null)[] = [];
  valid = true;
  /** How long this process has been frozen. */
  frozenMs = 0;

  acquireLease({ source, owner }: LeaseRequest): Promise<LeaseAnswer> {
    this.valid = true;
    return Promise.resolve({ grant: { source, owner, token: ++this.token }, holder: null });
  }

  renewLease(): Promise<boolean> {
    return Promise.resolve(this.valid);
  }

  releaseLease(_grant: Grant, handOver: HandOver | null): Promise<void> {
    if (this.isSilent) return Promise.reject(new DittoError('DITTO_DCS_UNAVAILABLE', 'down', { retriable: true }));
    this.released++;
    this.handedTo.push(handOver?.to ?? null);
    return Promise.resolve();
  }
}

const SILENT_JOURNAL: SourceSupervisorOptions['journal'] = {
  switched: () => undefined,
  moved: () => undefined,
  stopped: () => undefined,
  findsNoServer: () => undefined,
  purgeIsNear: () => undefined,
  quarantined: () => undefined,
};

function supervise(
  open: OpenSource,
  requestResync: SourceSupervisorOptions['requestResync'] = () => Promise.resolve(),
  parts: Partial<SourceSupervisorOptions> = {},
): {
  supervisor: SourceSupervisor;
  office: FreeOffice;
  end: () => Promise<void>;
  signal: AbortSignal;
  moves: SourceMove[];
  stops: string[];
} {
  const moves: SourceMove[] = [];
  const stops: string[] = [];
  const office = new FreeOffice();
  const timing = { ttlMs: 5000, renewMs: 5, monotonicMs: () => performance.now() + office.frozenMs };
  const leases = new LeaseKeeper({ office, source: 's', owner: 'o', process: null, logger: silentLogger, ...timing });
  const supervisor = new SourceSupervisor({
    source: 's',
    hasOtherServers: false,
    leases,
    open,
    requestResync,
    requestRewind: () => Promise.resolve(),
    requestAcceptance: () => Promise.resolve(),
    requestSwitch: () => Promise.resolve(true),
    awaitTarget: () => Promise.resolve(),
    journal: {
      ...SILENT_JOURNAL,
      moved: (move) => void moves.push(move),
      stopped: ({ code }) => void stops.push(code),
    },
    acceptRead: () => Promise.resolve(),
    onConfirmed: () => undefined,
    logger: silentLogger,
    ...parts,
  });
  const stop = new AbortController();
  const work = supervisor.supervise(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await work;
  };
  return { supervisor, office, end, signal: stop.signal, moves, stops };
}

/** A run that ends as `run` says. */
function fakeRun(run: (signal: AbortSignal, ownership: AbortSignal) => Promise<void>): SourceRun {
  const pipeline = {
    dispatchedSet: () => 'x:1-9',
    checkpoint: () => null,
    status: () => ({ phase: 'streaming', changes: 0, lastCommitMicros: 0 }),
  };
  return {
    run,
    pipeline,
    refusedServers: [],
    server: { endpoint: 'one:3306', serverUuid: 'a' },
    snapshot: { status: () => [], counts: () => ({}) },
    sinkStatus: () => ({}),
  } as unknown as SourceRun;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 3000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('it did not come to pass');
}

describe('SourceSupervisor', () => {
  it('runs until it is asked to end, then gives the lease back', async () => {
    const { supervisor, office, end } = supervise(() => Promise.resolve(fakeRun(untilAborted)));
    await until(() => supervisor.status().state === 'streaming');
    await end();
    expect(supervisor.status().state).toBe('stopped');
    expect(office.released).toBe(1);
  });

  it('hands a source over when it is at rest here, and asks for it again as the others do', async () => {
    let rested = 0;
    const { supervisor, office, end, moves } = supervise(() =>
      Promise.resolve(
        fakeRun(async (signal) => {
          await untilAborted(signal);
          rested++;
        }),
      ),
    );
    await until(() => supervisor.status().state === 'streaming');
    const handedOver = supervisor.moveTo({ to: 'other', askedBy: 'alice' });
    await until(() => office.token === 2);
    expect(await handedOver).toBe(true);
    expect([rested, office.handedTo, moves]).toEqual([1, ['other'], [{ to: 'other', askedBy: 'alice' }]]);
    await end();
    expect(office.handedTo).toEqual(['other', null]);
    expect(supervisor.moveTo({ to: 'other', askedBy: null })).toBeNull();
  });

  it('does not call a source moved whose lease could not be given up', async () => {
    const { supervisor, office, end, moves } = supervise(() => Promise.resolve(fakeRun(untilAborted)));
    await until(() => supervisor.status().state === 'streaming');
    office.isSilent = true;
    const first = supervisor.moveTo({ to: 'third', askedBy: 'alice' });
    const second = supervisor.moveTo({ to: 'other', askedBy: 'alice' });
    await until(() => office.token === 2);
    expect([await first, await second, moves]).toEqual([false, false, []]);
    await end();
  });

  it('ends while the source is still being opened', async () => {
    const { supervisor, office, end } = supervise(async (_grant, _onConfirmed, signal) => {
      await untilAborted(signal);
      throw new Error('aborted');
    });
    await until(() => supervisor.status().state === 'starting');
    await end();
    expect(office.released).toBe(1);
  });

  it('holds after an error that waiting does not fix, until an operator or the end comes', async () => {
    let opened = 0;
    const { supervisor, office, end, stops } = supervise(() => {
      opened++;
      return Promise.reject(new DittoError('DITTO_TEST_BROKEN', 'broken'));
    });
    await until(() => supervisor.status().state === 'failed');
    expect(supervisor.restart()).toBe(true);
    await until(() => opened === 2 && supervisor.status().state === 'failed');
    await end();
    expect(stops).toEqual(['DITTO_TEST_BROKEN', 'DITTO_TEST_BROKEN']);
    expect(office.released).toBe(2);
  });

  it('I5: a refused write of a former owner is no case for an operator: it asks for the lease again', async () => {
    const fenced = new DittoError('DITTO_LEASE_FENCED', 'another owner has taken over');
    let runs = 0;
    const { supervisor, end } = supervise(() =>
      Promise.resolve(fakeRun((signal) => (++runs === 1 ? Promise.reject(fenced) : untilAborted(signal)))),
    );
    await until(() => runs === 2);
    expect(supervisor.status().state).toBe('streaming');
    await end();
  });

  it('does not claim to stream while it waits to try again', async () => {
    const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
    const { supervisor, end } = supervise(() => Promise.resolve(fakeRun(() => Promise.reject(down))));
    await until(() => supervisor.status().error !== null);
    expect(supervisor.status()).toMatchObject({ state: 'waiting-for-lease', error: { code: 'DITTO_TEST_DOWN' } });
    await end();
  });

  it('I6: says why it does not run also while it tries again', async () => {
    const offline = new DittoError('DITTO_TEST_OFFLINE', 'offline', { retriable: true, remedy: 'wait' });
    let opened = 0;
    const { supervisor, end } = supervise(async (_grant, _hooks, signal) => {
      if (++opened === 2) await untilAborted(signal);
      throw offline;
    });
    await until(() => opened === 2);
    expect(supervisor.status()).toMatchObject({ state: 'starting', error: { code: 'DITTO_TEST_OFFLINE' } });
    await end();
  });

  it('I5: a process that was frozen past its lease may not deliver, from the moment it wakes, and gives nothing back', async () => {
    let mayDeliver: () => boolean = () => false;
    const seen: boolean[] = [];
    const { supervisor, office, end } = supervise((_grant, hooks) => {
      mayDeliver = hooks.mayDeliver;
      return Promise.resolve(
        fakeRun(async (signal, ownership) => {
          await Promise.race([untilAborted(signal), untilAborted(ownership)]);
          if (!ownership.aborted) return;
          seen.push(hooks.mayDeliver());
          throw ownership.reason as Error;
        }),
      );
    });
    await until(() => supervisor.status().state === 'streaming');
    expect(mayDeliver()).toBe(true);
    office.frozenMs = 5000;
    expect(mayDeliver()).toBe(false);
    await until(() => seen.length > 0);
    expect(seen).toEqual([false]);
    expect(supervisor.status().error).toMatchObject({ code: 'DITTO_LEASE_LOST' });
    expect(office.released).toBe(0);
    await end();
  });

  it('I5: a lost lease ends the run at once', async () => {
    const { supervisor, office, end } = supervise(() =>
      Promise.resolve(fakeRun((_signal, ownership) => untilAborted(ownership))),
    );
    await until(() => supervisor.status().state === 'streaming');
    office.valid = false;
    await until(() => office.token === 2 && supervisor.status().state === 'streaming');
    expect(office.released).toBe(0);
    office.valid = false;
    await end();
  });

  it.each(['streaming', 'failed'] as const)(
    'a %s source is opened again for a resync, after that was marked under its grant',
    async (from) => {
      const log: string[] = [];
      const broken = new DittoError('DITTO_TEST_BROKEN', 'broken');
      const { supervisor, end } = supervise(
        (grant) => {
          log.push(`open ${grant.token}`);
          const first = grant.token === 1;
          return Promise.resolve(
            fakeRun((signal) => (first && from === 'failed' ? Promise.reject(broken) : untilAborted(signal))),
          );
        },
        (grant, askedBy) => {
          log.push(`mark ${grant.token} ${askedBy}`);
          return Promise.resolve();
        },
      );
      await until(() => supervisor.status().state === from);
      expect(await supervisor.resync('alice')).toBe(true);
      await until(() => log.length === 3 && supervisor.status().state === 'streaming');
      expect(log).toEqual(['open 1', 'mark 1 alice', 'open 2']);
      expect(supervisor.status().error).toBeNull();
      await end();
    },
  );

  it('I5: no resync is marked without the lease, or with one that another owner has ended', async () => {
    const fenced = new DittoError('DITTO_LEASE_FENCED', 'another owner has taken over');
    const marked: unknown[] = [];
    const { supervisor, end } = supervise(
      () => Promise.resolve(fakeRun(untilAborted)),
      (grant) => {
        marked.push(grant.token);
        return Promise.reject(fenced);
      },
    );
    expect([await supervisor.resync('alice'), marked]).toEqual([false, []]);
    await until(() => supervisor.status().state === 'streaming');
    expect([await supervisor.resync('alice'), marked]).toEqual([false, [1]]);
    expect(supervisor.status().state).toBe('streaming');
    await end();
  });

  it('a resync that can not be marked is not begun', async () => {
    const down = new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true });
    const { supervisor, end } = supervise(
      () => Promise.resolve(fakeRun(untilAborted)),
      () => Promise.reject(down),
    );
    await until(() => supervisor.status().state === 'streaming');
    await expect(supervisor.resync('alice')).rejects.toBe(down);
    expect(supervisor.status()).toMatchObject({ state: 'streaming', token: 1 });
    await end();
  });

  it('a server that is lost is left: the source is opened again, and the opening learns which server that was', async () => {
    const opened: (string | null)[] = [];
    const switched: SwitchOutcome[] = [];
    const open: OpenSource = (_grant, hooks, _signal, leftUuid) => {
      opened.push(leftUuid);
      if (opened.length === 1) setTimeout(() => hooks.leaveServer('a', Date.now() - 2000), 5);
      else hooks.onSwitch({ from: 'a', to: 'two:3306', askedBy: null, error: null, healing: null });
      return Promise.resolve(fakeRun(untilAborted));
    };
    const { supervisor, end } = supervise(open, undefined, {
      journal: { ...SILENT_JOURNAL, switched: (outcome) => void switched.push(outcome) },
    });
    await until(() => opened.length === 2 && supervisor.status().state === 'streaming');
    expect(opened).toEqual([null, 'a']);
    expect(supervisor.status()).toMatchObject({ switches: 1, lastSwitch: { from: 'a', to: 'two:3306', error: null } });
    expect(supervisor.status().lastSwitch?.tookMs).toBeGreaterThanOrEqual(2000);
    expect(switched).toHaveLength(1);
    await end();
  });

  it('says why no server can be used while none can, and forgets it when one is', async () => {
    const error = new DittoError('DITTO_SOURCE_NO_SERVER', 'none', { retriable: true });
    const refused = [{ endpoint: 'one:3306', error, mayPass: true }];
    const found = Promise.withResolvers<undefined>();
    const { supervisor, end } = supervise(async (_grant, hooks) => {
      hooks.onNoServer(error, refused);
      await found.promise;
      return fakeRun(untilAborted);
    });
    await until(() => supervisor.status().error !== null);
    expect(supervisor.status()).toMatchObject({
      state: 'starting',
      error: { code: 'DITTO_SOURCE_NO_SERVER' },
      refusedServers: [{ endpoint: 'one:3306', code: 'DITTO_SOURCE_NO_SERVER' }],
    });
    found.resolve(undefined);
    await until(() => supervisor.status().state === 'streaming');
    expect(supervisor.status().error).toBeNull();
    await end();
  });

  it('says once that no server can be used, for as long as each has the same code', async () => {
    const says: string[] = [];
    const said = Promise.withResolvers<undefined>();
    const journal = { ...SILENT_JOURNAL, findsNoServer: ({ message }: DittoError) => void says.push(message) };
    const { supervisor, end } = supervise(
      (_grant, hooks) => {
        const say = (codes: Record<string, string>, last: number): void => {
          const refused = Object.entries(codes).map(([endpoint, code]) => ({
            ...{ endpoint, error: new DittoError(code, `lacks x:1-${last}`, { retriable: true }), mayPass: true },
          }));
          hooks.onNoServer(new DittoError('DITTO_SOURCE_NO_SERVER', `lack x:1-${last}`, { retriable: true }), refused);
        };
        for (let last = 1; last < 50; last++)
          say({ one: 'DITTO_SOURCE_GTIDS_MISSING', two: 'DITTO_SOURCE_DOWN' }, last);
        say({ two: 'DITTO_SOURCE_DOWN', one: 'DITTO_SOURCE_GTIDS_MISSING' }, 50);
        say({ one: 'DITTO_SOURCE_DOWN', two: 'DITTO_SOURCE_DOWN' }, 51);
        said.resolve(undefined);
        return Promise.resolve(fakeRun(untilAborted));
      },
      undefined,
      { journal },
    );
    await said.promise;
    expect(says).toEqual(['lack x:1-1', 'lack x:1-51']);
    await until(() => supervisor.status().state === 'streaming');
    await end();
  });

  it('leaves the mark of a switch, of an operator or its own, before the source is opened again', async () => {
    const log: unknown[] = [];
    let giveUp: OwnershipHooks['giveUp'] = () => undefined;
    const open: OpenSource = ({ token }, hooks) => {
      log.push(`open ${token}`);
      giveUp = hooks.giveUp;
      return Promise.resolve(fakeRun(untilAborted));
    };
    const requestSwitch: SourceSupervisorOptions['requestSwitch'] = ({ token }, wanted) => {
      log.push([token, wanted]);
      return Promise.resolve(true);
    };
    const { supervisor, end } = supervise(open, undefined, { requestSwitch });
    const settles = (opened: number) => until(() => log.length === opened && supervisor.status().state === 'streaming');
    await settles(1);
    expect(await supervisor.switchTo('two:3306', 'alice')).toBe(true);
    await settles(3);
    expect(await supervisor.acceptLoss({ endpoint: 'two:3306', gtids: 'x:1' }, 'alice')).toBe(true);
    await settles(5);
    giveUp({ endpoint: 'one:3306', gtids: 'x:2' }, Date.now(), new AbortController().signal);
    await settles(7);
    expect(log).toEqual([
      'open 1',
      [1, { to: 'two:3306', askedBy: 'alice', givesUp: '' }],
      'open 2',
      [2, { to: 'two:3306', askedBy: 'alice', givesUp: 'x:1' }],
      'open 3',
      [3, { to: 'one:3306', askedBy: null, givesUp: 'x:2' }],
      'open 4',
    ]);
    await end();
  });

  it('says why a switch has failed until the source runs again', async () => {
    const error = new DittoError('DITTO_SOURCE_LOG_UNPROVEN', 'unproven');
    const found = Promise.withResolvers<undefined>();
    const { supervisor, end } = supervise(async (_grant, { onSwitch }) => {
      onSwitch({ from: 'a', to: 'two:3306', askedBy: 'alice', error, healing: null });
      await found.promise;
      return fakeRun(untilAborted);
    });
    await until(() => supervisor.status().lastSwitch !== null);
    expect(supervisor.switchError?.code).toBe(error.code);
    found.resolve(undefined);
    await until(() => supervisor.status().state === 'streaming');
    expect([supervisor.switchError, supervisor.status().lastSwitch?.error?.code]).toEqual([null, error.code]);
    await end();
  });

  it('moves from a server that stands still, and does not try that again and again', async () => {
    const asked: unknown[] = [];
    let isFree = true;
    let hooks: OwnershipHooks | null = null;
    const open: OpenSource = (_grant, given) => {
      hooks = given;
      return Promise.resolve(fakeRun(untilAborted));
    };
    const requestSwitch: SourceSupervisorOptions['requestSwitch'] = ({ token }, wanted) => {
      if (isFree) asked.push([token, wanted]);
      return Promise.resolve(isFree);
    };
    const { supervisor, office, end } = supervise(open, undefined, { requestSwitch });
    const leave = (...to: string[]): Promise<string | null> | undefined => hooks?.leaveStandstill(to);
    const fail = (to: string): void => {
      const error = new DittoError('DITTO_SOURCE_LOG_REPLACED', 'another');
      hooks?.onSwitch({ from: 'a', to, askedBy: null, error, healing: null });
    };
    await until(() => supervisor.status().state === 'streaming');
    expect(await leave('two:3306', 'three:3306')).toBe('two:3306');
    await until(() => office.token === 2 && supervisor.status().state === 'streaming');
    fail('two:3306');
    expect(await leave('two:3306')).toBeNull();
    // what an operator has asked for is not cut short
    isFree = false;
    expect(await leave('two:3306', 'three:3306')).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([office.token, supervisor.status().state]).toEqual([2, 'streaming']);
    isFree = true;
    expect(await leave('two:3306', 'three:3306')).toBe('three:3306');
    await until(() => office.token === 3 && supervisor.status().state === 'streaming');
    fail('three:3306');
    expect(await leave('two:3306', 'three:3306')).toBeNull();
    const wanted = { askedBy: null, givesUp: '' };
    expect(asked).toEqual([
      [1, { to: 'two:3306', ...wanted }],
      [2, { to: 'three:3306', ...wanted }],
    ]);
    await end();
  });

  it('streams on until the server of a switch has what was read, or can not be waited for', async () => {
    for (const settle of ['resolve', 'reject'] as const) {
      let opened = 0;
      const waited = Promise.withResolvers<undefined>();
      const { supervisor, end } = supervise(() => (opened++, Promise.resolve(fakeRun(untilAborted))), undefined, {
        awaitTarget: (to, { dispatchedSet }) => {
          expect([to, dispatchedSet]).toEqual(['two:3306', 'x:1-9']);
          return waited.promise;
        },
      });
      await until(() => supervisor.status().state === 'streaming');
      expect(await supervisor.switchTo('two:3306', 'alice')).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect([opened, supervisor.status().state]).toEqual([1, 'streaming']);
      if (settle === 'resolve') waited.resolve(undefined);
      else waited.reject(new Error('not there'));
      await until(() => opened === 2 && supervisor.status().state === 'streaming');
      await end();
    }
  });

  it('I7: a loss that can not be marked is not given up before it can', async () => {
    let [marks, opened] = [0, 0];
    const down = new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true });
    const open: OpenSource = (_grant, hooks) => {
      const { signal } = new AbortController();
      if (++opened === 1) setTimeout(() => hooks.giveUp({ endpoint: 'two:3306', gtids: 'x:1' }, 0, signal), 5);
      return Promise.resolve(fakeRun(untilAborted));
    };
    const { supervisor, end } = supervise(open, undefined, {
      requestSwitch: () => (++marks === 1 ? Promise.reject(down) : Promise.resolve(true)),
    });
    await until(() => marks === 1);
    expect([opened, supervisor.status().state]).toEqual([1, 'streaming']);
    await until(() => opened === 2);
    expect(marks).toBe(2);
    await end();
  });

  it('I7: a loss is not given up when the stream has continued before it could be marked', async () => {
    const stream = new AbortController();
    const left: (string | null)[] = [];
    let marks = 0;
    const open: OpenSource = (_grant, hooks, _signal, leftUuid) => {
      left.push(leftUuid);
      if (left.length === 1)
        setTimeout(() => hooks.giveUp({ endpoint: 'two:3306', gtids: 'x:1' }, 0, stream.signal), 5);
      return Promise.resolve(fakeRun(untilAborted));
    };
    const down = new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true });
    const { supervisor, end } = supervise(open, undefined, {
      requestSwitch: ({ token }) => (++marks, token === 1 ? Promise.reject(down) : Promise.resolve(true)),
    });
    await until(() => marks === 1);
    stream.abort();
    // longer than it is tried again after
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect([marks, supervisor.status().state]).toEqual([1, 'streaming']);
    // nor does the server count as left
    expect(await supervisor.resync('alice')).toBe(true);
    await until(() => left.length === 2);
    expect(left).toEqual([null, null]);
    await end();
  });
});
