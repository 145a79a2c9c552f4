/** Unix time in nanoseconds, exact to the millisecond. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
