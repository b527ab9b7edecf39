import { textDecoder, UndecodableTextError, type CharacterSetFacts, type TextDecode } from '../values/charset.ts';

/** Decodes the text of statements, which is in the log as its client sent it. */
export class StatementDecoder {
  readonly #facts: CharacterSetFacts;
  /** By collation; null for what is read as UTF-8. */
  readonly #decoders = new Map<number, TextDecode | null>();

  constructor(facts: CharacterSetFacts) {
    this.#facts = facts;
  }

  /**
   * The text by the character set of a collation. Of a collation that is not known (`binary` too), and where a literal
   * holds bytes that are no text, UTF-8, whatever is not UTF-8 as U+FFFD: names are always text.
   */
  decode(collation: number, bytes: Buffer, start: number, end: number): string {
    const decode = this.#decoderOf(collation);
    try {
      if (decode !== null) return decode(bytes, start, end);
    } catch (error) {
      if (!(error instanceof UndecodableTextError)) throw error;
    }
    return bytes.toString('utf8', start, end);
  }

  #decoderOf(collation: number): TextDecode | null {
    const known = this.#decoders.get(collation);
    if (known !== undefined) return known;
    const charset = this.#facts.charsetOfCollation.get(collation);
    const decoder = charset === undefined ? null : textDecoder(charset, this.#facts, false);
    this.#decoders.set(collation, decoder);
    return decoder;
  }
}
