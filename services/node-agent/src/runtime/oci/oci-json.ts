/** JSON with numbers beyond 2^53: bigints are written digit by digit, which `JSON.stringify` alone refuses. */
export function ociJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? rawNumber(item) : item));
}

/** The language has it since 2025 (JSON.rawJSON); TypeScript's library does not know it yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

function rawNumber(value: bigint): unknown {
  return rawJSON(String(value));
}
