/** Kinds of entries in a layer or a build context. Hard links name the entry whose file they share. */
export type TarType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** One entry of a tar, every dialect (ustar, GNU, pax) resolved into this one reading. */
export interface TarEntry {
  /** As stored, without a trailing slash. */
  readonly name: string;
  readonly type: TarType;
  /** Permission bits, 0 to 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  /** Seconds since 1970, may be fractional. */
  readonly mtime: number;
  /** Target of a link, else empty. */
  readonly linkname: string;
  readonly devmajor: number;
  readonly devminor: number;
  /** Extended attributes (`SCHILY.xattr.` records), values as bytes in latin1. */
  readonly xattrs: ReadonlyMap<string, string>;
}
