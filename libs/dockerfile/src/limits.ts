/** Bounds of what is parsed, so that a hostile Dockerfile is refused at once instead of costing time or memory. */
export const DOCKERFILE_LIMITS = {
  /** Bytes of the whole file. */
  fileBytes: 1 << 20,
  /** Bytes of one line, as Docker's scanner has it. */
  lineBytes: 65_535,
  instructions: 10_000,
  /** Nested `${a:-${b:-…}}`. */
  expansionDepth: 64,
  /** Characters of a value that `${name/pattern/text}` may search when the pattern has a star: the search is quadratic. */
  starSearch: 512,
  /** Characters one expansion may produce. */
  expansionLength: 1 << 20,
} as const;
