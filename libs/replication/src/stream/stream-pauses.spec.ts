import { expect, it } from '@jest/globals';
import { Deferred } from '#kernel';
import { StreamPauses } from './stream-pauses.ts';

it('I4: the stream does not continue beside work that is asked for as other work ends', async () => {
  const pauses = new StreamPauses(() => true);
  const [first, second] = [new Deferred<undefined>(), new Deferred<undefined>()];
  const works = pauses.run(() => first.promise).then(() => pauses.run(() => second.promise));
  let goesOn = false;
  const stream = (async () => {
    await pauses.next();
    goesOn = true;
  })();
  first.resolve(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  expect(goesOn).toBe(false);
  second.resolve(undefined);
  await Promise.all([works, stream]);
  expect(pauses.next()).toBeUndefined();
});
