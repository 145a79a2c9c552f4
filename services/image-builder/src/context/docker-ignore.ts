import { cleanPath } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';
import { type ContextNode, isDirectory } from './context-node.ts';
import { PathPattern } from './path-pattern.ts';

interface Rule {
  readonly pattern: PathPattern;
  /** A line with `!`: takes files back in. */
  readonly exception: boolean;
}

const MAX_RULES = 5_000;

/**
 * The rules of a `.dockerignore`: lines cleaned like Go's filepath.Clean, the last one that matches a path or one of its parent
 * folders decides.
 */
export class DockerIgnore {
  readonly #rules: readonly Rule[];

  private constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  static parse(text: string): DockerIgnore {
    const rules: Rule[] = [];
    for (const [index, raw] of text
      .replace(/^\uFEFF/, '')
      .split('\n')
      .entries()) {
      let line = raw.trim();
      if (line === '' || raw.startsWith('#')) continue;
      const exception = line.startsWith('!');
      if (exception) line = line.slice(1).trim();
      if (exception && line === '') throw invalidArgument('illegal exclusion pattern: "!"');
      const cleaned = cleanPath(line).replace(/^\//, '');
      if (cleaned === '') continue;
      const pattern = PathPattern.compile(cleaned, { doubleStar: true });
      if (!pattern) throw invalidArgument(`.dockerignore line ${index + 1}: syntax error in pattern ${line}`);
      if (rules.length >= MAX_RULES) throw invalidArgument(`.dockerignore has more than ${MAX_RULES} patterns`);
      rules.push({ pattern, exception });
    }
    return new DockerIgnore(rules);
  }

  /** True when the path (relative, no leading slash) is left out of the context. */
  excludes(path: string): boolean {
    const parts = path.split('/');
    let matched = this.#none();
    for (let length = 1; length <= parts.length; length++)
      matched = this.#match(parts.slice(0, length).join('/'), matched);
    return this.#decide(matched);
  }

  /** Takes what is excluded out of the tree; a folder stays as long as something in it does. */
  apply(root: ContextNode): void {
    if (this.#rules.length > 0) this.#prune(root, '', this.#none());
  }

  #prune(node: ContextNode, path: string, above: readonly boolean[]): void {
    if (!isDirectory(node)) return;
    for (const [name, child] of node.children) {
      const childPath = path === '' ? name : `${path}/${name}`;
      const matched = this.#match(childPath, above);
      this.#prune(child, childPath, matched);
      const kept = isDirectory(child) && child.children.size > 0;
      if (!kept && this.#decide(matched)) node.children.delete(name);
    }
  }

  #none(): boolean[] {
    return this.#rules.map(() => false);
  }

  /** Which rules match the path or, by `above`, one of its parents. */
  #match(path: string, above: readonly boolean[]): boolean[] {
    return this.#rules.map((rule, index) => above[index] === true || rule.pattern.matches(path));
  }

  #decide(matched: readonly boolean[]): boolean {
    const last = matched.lastIndexOf(true);
    return last >= 0 && !this.#rules[last]?.exception;
  }
}
