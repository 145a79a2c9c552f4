import { conflict, failedPrecondition } from '@atoll/errors';
import type { containerV1, nodeV1 } from '@atoll/proto';
import type { FindContainer } from '../containers/neighbours.ts';
import { CategoryPairs } from './category-pairs.ts';
import { isKnownLabel, whyInactive } from './kernel-policy.ts';
import { type Label, labelText, levelOf } from './label.ts';

export interface SELinuxOptions {
  /** `auto`: used where the loaded policy knows containers. */
  readonly setting: 'auto' | 'off';
  readonly hostname: string;
  readonly find: FindContainer;
  /** Of all containers of this host. */
  readonly statuses: () => Iterable<containerV1.ContainerStatus>;
}

/** Labels of one container. */
export interface Labels {
  /** Of its programs; undefined: what the policy gives to what the agent's shims start. */
  readonly process: string | undefined;
  /** Of its root and its fresh file systems. */
  readonly mount: string;
  /** Of files that every container may use. */
  readonly shared: string;
  /** Of layers on disk: every container may read them, none may write. */
  readonly layers: string;
}

const PROCESS: Label = { user: 'system_u', role: 'system_r', type: 'container_t', level: 's0' };
const FILE: Label = { user: 'system_u', role: 'object_r', type: 'container_file_t', level: 's0' };
/** What distributions have for containers that are not to be confined, and for layers. */
const UNCONFINED = labelText({ ...PROCESS, type: 'spc_t' });
const READ_ONLY = labelText({ ...FILE, type: 'container_ro_file_t' });
const JOINED = 'container:';

type Subject = Pick<containerV1.ContainerRecord, 'id' | 'spec'>;

/** Which labels containers of this host have. */
export class SELinux {
  readonly facts: nodeV1.SELinux;
  readonly #options: SELinuxOptions;
  readonly #pairs: CategoryPairs;
  /** Of those that a policy may lack. */
  readonly #known: ReadonlySet<string>;

  private constructor(facts: nodeV1.SELinux, known: ReadonlySet<string>, options: SELinuxOptions) {
    this.facts = facts;
    this.#known = known;
    this.#options = options;
    this.#pairs = new CategoryPairs(function* () {
      for (const { id, mountLabel } of options.statuses())
        if (mountLabel !== '') yield { id, level: levelOf(mountLabel) };
    });
  }

  /** Looks at the host once; a policy that is loaded later counts from the agent's next start. */
  static async open(options: SELinuxOptions): Promise<SELinux> {
    const missing = options.setting === 'off' ? 'its agent is not to use SELinux (ATOLL_SELINUX=off)' : await detect();
    const facts = { enabled: missing === undefined, missing: missing ?? '' };
    const known = new Set<string>();
    for (const label of facts.enabled ? [UNCONFINED, READ_ONLY] : []) if (await isKnownLabel(label)) known.add(label);
    return new SELinux(facts, known, options);
  }

  /**
   * Undefined where SELinux is not used. A container keeps its pair of categories as long as it exists. Throws failed-precondition for
   * options that this host cannot follow, conflict when it joins containers that differ.
   */
  async labelsOf(container: Subject): Promise<Labels | undefined> {
    const { hostname } = this.#options;
    const wishes = container.spec?.security?.selinux;
    const named = wishes !== undefined && !wishes.disable;
    if (!this.facts.enabled) {
      if (!named) return undefined;
      throw failedPrecondition(`host ${hostname} cannot have the container's SELinux label: ${this.facts.missing}`);
    }
    const labels = this.#labelsOf(container, wishes);
    if (!named) return labels;
    for (const label of [labels.process ?? UNCONFINED, labels.mount]) {
      if (await isKnownLabel(label)) continue;
      throw failedPrecondition(
        `HostConfig.SecurityOpt: the SELinux policy of host ${hostname} does not allow for the label "${label}"`,
      );
    }
    return labels;
  }

  /** What was taken for something that is no container, or has come to nothing. */
  release(id: string): void {
    this.#pairs.release(id);
  }

  #labelsOf({ id, spec }: Subject, wishes: containerV1.SELinuxOptions | undefined): Labels {
    const shared = labelText(FILE);
    const joined = wishes === undefined && !isUnconfined(spec) ? this.#joined(spec) : undefined;
    const level = wishes?.level || (joined && levelOf(joined)) || this.#ownLevel(id);
    const user = wishes?.user || FILE.user;
    const mount = labelText({ ...FILE, user, level, type: wishes?.fileType || FILE.type });
    const files = { mount, shared, layers: this.#known.has(READ_ONLY) ? READ_ONLY : shared };
    if (joined) return { process: joined, ...files };
    const confined = wishes ? !wishes.disable : !isUnconfined(spec) && joined === undefined;
    if (!confined) return { process: this.#known.has(UNCONFINED) ? UNCONFINED : undefined, ...files };
    const { role, type } = { role: wishes?.role || PROCESS.role, type: wishes?.type || PROCESS.type };
    return { process: labelText({ user, role, type, level }), ...files };
  }

  #ownLevel(id: string): string {
    return levelOf(this.#options.find(id)?.status.mountLabel ?? '') || this.#pairs.take(id);
  }

  /** That of the containers whose pid or ipc namespace is joined; empty when they have none, undefined when there are none. */
  #joined(spec: containerV1.ContainerSpec | undefined): string | undefined {
    const modes = [spec?.pidMode, spec?.ipcMode].filter((mode) => mode?.startsWith(JOINED));
    const labels = modes.map((mode = '') => this.#options.find(mode.slice(JOINED.length))?.status.processLabel ?? '');
    const [first, second = first] = labels;
    if (first !== second)
      throw conflict(
        'the containers of --ipc and --pid have different SELinux labels: join one of them, or give --security-opt label=…',
      );
    return first;
  }
}

/** As in Docker: who sees processes of the host, or may do all, is not held by a label, unless options ask for one. */
function isUnconfined(spec: containerV1.ContainerSpec | undefined): boolean {
  return spec?.security?.privileged === true || spec?.pidMode === 'host' || spec?.ipcMode === 'host';
}

async function detect(): Promise<string | undefined> {
  const inactive = await whyInactive();
  if (inactive !== undefined) return inactive;
  for (const label of [PROCESS, FILE]) {
    if (!(await isKnownLabel(labelText({ ...label, level: 's0:c0,c1023' }))))
      return `its SELinux policy does not know ${label.type} with categories (package container-selinux)`;
  }
  return undefined;
}
