import { binaryJsonChildren, binaryJsonRoot, printBinaryJson, type BinaryJsonValue } from './json-binary.ts';
import { type JsonPathLeg } from './json-path.ts';

/** The members of an object with their keys in MySQL's order, or the cells of an array. */
class Container {
  readonly keys: string[] | null;
  readonly values: (BinaryJsonValue | Container)[];

  constructor({ keys, values }: { keys: string[] | null; values: BinaryJsonValue[] }) {
    this.keys = keys;
    this.values = values;
  }

  /** Index of what the leg names; -1 if it is not there. */
  indexOf(leg: JsonPathLeg): number {
    if ('member' in leg) return this.keys?.indexOf(leg.member) ?? -1;
    if (this.keys !== null || leg.cell >= this.values.length) return -1;
    return leg.fromEnd ? this.values.length - 1 - leg.cell : leg.cell;
  }

  /** The container at `index`, taken apart if it was not yet; null for a scalar. */
  open(index: number): Container | null {
    const value = this.values[index];
    if (value === undefined || value instanceof Container) return value ?? null;
    const children = binaryJsonChildren(value);
    if (children === null) return null;
    const container = new Container(children);
    this.values[index] = container;
    return container;
  }

  insert(leg: JsonPathLeg, value: BinaryJsonValue): boolean {
    if ('member' in leg) return this.#insertMember(leg.member, value);
    if (this.keys !== null) return false;
    const count = this.values.length;
    const index = leg.fromEnd ? Math.max(0, count - 1 - leg.cell) : Math.min(leg.cell, count);
    this.values.splice(index, 0, value);
    return true;
  }

  #insertMember(key: string, value: BinaryJsonValue): boolean {
    if (this.keys === null || this.keys.includes(key)) return false;
    const behind = this.keys.findIndex((other) => compareKeys(key, other) < 0);
    const index = behind === -1 ? this.keys.length : behind;
    this.keys.splice(index, 0, key);
    this.values.splice(index, 0, value);
    return true;
  }

  remove(index: number): void {
    this.keys?.splice(index, 1);
    this.values.splice(index, 1);
  }

  text(print: (value: BinaryJsonValue) => string): string {
    const { keys } = this;
    const texts = this.values.map((value) => (value instanceof Container ? value.text(print) : print(value)));
    if (keys === null) return `[${texts.join(', ')}]`;
    return `{${texts.map((text, i) => `${JSON.stringify(keys[i])}: ${text}`).join(', ')}}`;
  }
}

/** MySQL sorts members by the length of their names in bytes, then by those bytes (`sql-common/json_dom.h`, Json_key_comparator). */
function compareKeys(a: string, b: string): number {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length - right.length || Buffer.compare(left, right);
}

/**
 * A binary document that can be changed in places. It is taken apart only along the paths that changes go; what they
 * don't touch stays in its binary form and is printed from there, by the one printer that there is.
 */
export class JsonDocument {
  readonly #root: BinaryJsonValue | null;
  readonly #container: Container | null;
  #bytes: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes.length;
    this.#root = binaryJsonRoot(bytes);
    const children = this.#root === null ? null : binaryJsonChildren(this.#root);
    this.#container = children === null ? null : new Container(children);
  }

  /** False if the place is not there; nothing is changed then. */
  replace(path: readonly JsonPathLeg[], value: Buffer): boolean {
    const place = this.#find(path);
    if (place === null) return false;
    place.parent.values[place.index] = this.#take(value);
    return true;
  }

  /** Adds a member that is not there, or a cell before the one that is there; after the last for a larger index. */
  insert(path: readonly JsonPathLeg[], value: Buffer): boolean {
    const leg = path.at(-1);
    return leg !== undefined && (this.#parent(path)?.insert(leg, this.#take(value)) ?? false);
  }

  remove(path: readonly JsonPathLeg[]): boolean {
    const place = this.#find(path);
    place?.parent.remove(place.index);
    return place !== null;
  }

  /** The canonical text (see json-text.ts). */
  text(): string {
    const [root, container] = [this.#root, this.#container];
    if (root === null) return 'null';
    return printBinaryJson(this.#bytes, (print) => (container === null ? print(root) : container.text(print)));
  }

  #take(value: Buffer): BinaryJsonValue {
    const root = binaryJsonRoot(value);
    if (root === null) throw new RangeError('a JSON value without a byte');
    this.#bytes += value.length;
    return root;
  }

  #find(path: readonly JsonPathLeg[]): { parent: Container; index: number } | null {
    const leg = path.at(-1);
    const parent = this.#parent(path);
    if (leg === undefined || parent === null) return null;
    const index = parent.indexOf(leg);
    return index === -1 ? null : { parent, index };
  }

  /** The container that the last leg points into. */
  #parent(path: readonly JsonPathLeg[]): Container | null {
    let container = this.#container;
    for (const leg of path.slice(0, -1)) container = container?.open(container.indexOf(leg)) ?? null;
    return container;
  }
}
