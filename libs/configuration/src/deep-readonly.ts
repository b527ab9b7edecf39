import { type ConfiguredText } from './secret.ts';

export type DeepReadonly<T> = T extends ConfiguredText
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T;
