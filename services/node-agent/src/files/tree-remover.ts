/**
 * Removes a folder with all it holds, however deep, following no link. Missing is fine. `limited` is the name of a folder in it that a
 * limit of storage may stand on, which is then taken away before.
 */
export interface TreeRemover {
  removeTree(path: string, signal: AbortSignal, limited?: string): Promise<void>;
}
