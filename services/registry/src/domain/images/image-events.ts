/** What happened to an image, in Docker's words (`docker events`, type image). */
export interface ImageEvent {
  readonly action: 'create' | 'pull' | 'push' | 'tag' | 'untag' | 'delete' | 'import' | 'load' | 'save';
  /** Image id, or the reference for pull and push. */
  readonly actor: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Tells the cluster. Never waits, never fails: an event is news, not state. */
export interface ImageEvents {
  publish(event: ImageEvent): void;
}
