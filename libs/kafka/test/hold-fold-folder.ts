import { FoldFolder } from '../src/fold/fold-folder.ts';
import { FoldStore } from '../src/fold/fold-store.ts';

/** A worker with a store: prints where it is and lives until it is killed. */
const path = new FoldFolder(process.argv[2] ?? '').pathOf('eu.shop.orders');
new FoldStore(path);
process.stdout.write(`${path}\n`);
setInterval(() => undefined, 1_000);
