// Loaded before a service: its wall clock is wrong by the milliseconds in the file $CHAOS_CLOCK, from when that changes.
// Timers and performance.now() go on, as they do when a machine's clock is set.
import { readFileSync, watchFile } from 'node:fs';

const file = process.env.CHAOS_CLOCK;
const RealDate = Date;
const now = RealDate.now.bind(RealDate);
let offsetMs = 0;

function read() {
  const text = readFileSync(file, 'utf8');
  if (text !== '') offsetMs = Number(text);
}

globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now() + offsetMs);
    else super(...args);
  }

  static now() {
    return now() + offsetMs;
  }
};

if (file !== undefined) {
  read();
  watchFile(file, { interval: 100, persistent: false }, read);
}
