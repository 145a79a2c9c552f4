import { asAtollError, failedPrecondition } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import type { containerV1, nodeV1 } from '@atoll/proto';
import { runTool } from '../processes/run-tool.ts';
import { DEFAULT_PROFILE } from './default-profile.ts';
import {
  claimDefaultProfile,
  isUnconfined,
  kernelHasAppArmor,
  loadedProfiles,
  ownProfile,
  releaseDefaultProfile,
} from './kernel-policy.ts';

/** The word for no profile, on the wire, in a plan and in the kernel. */
export const UNCONFINED = 'unconfined';

export interface AppArmorOptions {
  readonly hostname: string;
  readonly dataRoot: string;
  readonly logger: Logger;
}

type Wishes = Pick<containerV1.Security, 'apparmorProfile' | 'privileged'>;

/** Which profile confines a container of this host, and that it is loaded. */
export class AppArmor {
  readonly facts: nodeV1.AppArmor;
  readonly #options: AppArmorOptions;

  private constructor(facts: nodeV1.AppArmor, options: AppArmorOptions) {
    this.facts = facts;
    this.#options = options;
  }

  /** Looks at the host once, and loads the default profile; what is installed later counts from the agent's next start. */
  static async open(options: AppArmorOptions): Promise<AppArmor> {
    const facts = await detect(options);
    const { enabled, missing } = facts;
    if (enabled && missing !== '')
      options.logger.warn({ missing }, 'containers that name no AppArmor profile run without');
    return new AppArmor(facts, options);
  }

  /** What a container runs under, `unconfined` for none; undefined where the kernel has no AppArmor. */
  profileOf({ apparmorProfile, privileged }: Wishes): string | undefined {
    if (!this.facts.enabled)
      return apparmorProfile === UNCONFINED || apparmorProfile === '' ? undefined : apparmorProfile;
    if (apparmorProfile !== '') return apparmorProfile;
    return privileged ? UNCONFINED : this.facts.defaultProfile || UNCONFINED;
  }

  /**
   * Of a further process in a container whose first process has this pid: its own. A container that was started while the host had no
   * default profile is unconfined until its next start, and its programs with it.
   */
  async profileBeside(pid: number, wishes: Wishes): Promise<string | undefined> {
    const profile = this.profileOf(wishes);
    if (profile === undefined || profile !== this.facts.defaultProfile || wishes.apparmorProfile !== '') return profile;
    return (await isUnconfined(pid)) ? UNCONFINED : profile;
  }

  /** Before a program is started under it. Throws failed-precondition when it is not loaded and not ours to load. */
  async ready(profile: string | undefined): Promise<void> {
    if (profile === undefined || profile === UNCONFINED) return;
    const { hostname, dataRoot, logger } = this.#options;
    if (!this.facts.enabled)
      throw failedPrecondition(`host ${hostname} cannot have AppArmor profile "${profile}": ${this.facts.missing}`);
    if ((await loadedProfiles()).has(profile)) return;
    if (profile !== this.facts.defaultProfile)
      throw failedPrecondition(
        `AppArmor profile "${profile}" is not loaded on host ${hostname}: load it there (apparmor_parser --replace <file>) or name another`,
      );
    logger.warn(
      { profile },
      'somebody has removed the AppArmor profile: it is loaded again, what ran under it is unconfined',
    );
    await claimDefaultProfile(dataRoot);
  }

  /** The agent ends. With containers the profile stays: without it they would be unconfined. */
  async close(containersRun: boolean): Promise<void> {
    if (this.facts.defaultProfile === '' || containersRun) return;
    await releaseDefaultProfile(this.#options.dataRoot).catch((err: unknown) =>
      this.#options.logger.warn({ err }, 'the AppArmor profile stays loaded'),
    );
  }
}

async function detect({ dataRoot, logger }: AppArmorOptions): Promise<nodeV1.AppArmor> {
  const none = { enabled: false, defaultProfile: '' };
  if (!(await kernelHasAppArmor())) return { ...none, missing: 'its kernel has no AppArmor, or it is off' };
  const own = await ownProfile();
  if (own !== '') return { ...none, missing: `its agent is itself under the AppArmor profile ${own}` };
  const before = await loadedProfiles().catch(() => undefined);
  if (!before)
    return {
      ...none,
      missing: 'its agent cannot read /sys/kernel/security/apparmor (securityfs is not mounted, or refused to it)',
    };
  try {
    await claimDefaultProfile(dataRoot);
    return { enabled: true, defaultProfile: DEFAULT_PROFILE, missing: '' };
  } catch (err) {
    logger.debug({ err }, 'the AppArmor profile cannot be loaded');
    const hasParser = await runTool('apparmor_parser', ['--version']).then(
      () => true,
      () => false,
    );
    return {
      enabled: true,
      // An earlier version is better than none.
      defaultProfile: before.has(DEFAULT_PROFILE) ? DEFAULT_PROFILE : '',
      missing: hasParser
        ? `profile ${DEFAULT_PROFILE} cannot be loaded (${asAtollError(err).message.slice(0, 300)})`
        : 'the program apparmor_parser is not installed (package apparmor)',
    };
  }
}
