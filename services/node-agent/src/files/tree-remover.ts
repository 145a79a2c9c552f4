/** Removes a folder with all it holds, however deep, following no link. Missing is fine. */
export interface TreeRemover {
  removeTree(path: string, signal: AbortSignal): Promise<void>;
}
