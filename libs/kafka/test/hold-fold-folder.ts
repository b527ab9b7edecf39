import { FoldFolder } from '../src/fold/fold-folder.ts';
import { FoldStore } from '../src/fold/fold-store.ts';

/** A worker with a store: prints where it is and lives until it is killed. */
const folder = new FoldFolder(process.argv[2] ?? '');
const path = folder.pathOf('eu.shop.orders');
new FoldStore(path);
process.stdout.write(`${path}\n`);
// what nobody holds may be collected, and its lock with it
setInterval(() => folder.pathOf(''), 1_000);
