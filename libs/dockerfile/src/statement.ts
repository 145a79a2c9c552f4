import type { FlagKind } from './flags.ts';

/** The text of one instruction, cut into what its parser needs. */
export interface Statement {
  readonly at: { readonly line: number; readonly source: string };
  /** Upper case. */
  readonly name: string;
  /** What follows name and flags, trimmed. */
  readonly rest: string;
  readonly escapeChar: string;
  /** The flags given, checked against the known ones. */
  readonly flag: (known: Readonly<Record<string, FlagKind>>) => ReadonlyMap<string, string>;
  readonly fail: (message: string) => Error;
}
