import { type KeyIdentity } from './mirror-document.ts';

/** The lane of a key among `lanes`: the same for every change of one key of one collection. */
export function chooseLane(collectionHash: number, identity: KeyIdentity, lanes: number): number {
  if (lanes === 1) return 0;
  const hash =
    typeof identity === 'number' && Number.isInteger(identity) ? hashInteger(identity) : hashText(String(identity));
  return mix(hash ^ collectionHash) % lanes;
}

/** FNV-1a over UTF-16 units. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

function hashInteger(value: number): number {
  return (value | 0) ^ Math.floor(value / 0x1_0000_0000);
}

/** The finalizer of MurmurHash3: neighbouring keys go to different lanes. */
function mix(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
