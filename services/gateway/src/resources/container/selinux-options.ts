import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$/;
/** A sensitivity, or a range of them, with categories: `s0`, `s0:c1,c2`, `s0:c0.c255`, `s0-s15:c0.c1023`. */
const LEVEL = /^s\d{1,4}(:CATS)?(-s\d{1,4}(:CATS)?)?$/.source.replaceAll('CATS', 'c\\d{1,4}([.,]c\\d{1,4})*');
const MOST_LEVEL_BYTES = 512;

const FIELDS = { user: 'user', role: 'role', type: 'type', level: 'level', filetype: 'fileType' } as const;
const WANTED = 'wants disable, user:USER, role:ROLE, type:TYPE, level:LEVEL or filetype:TYPE';

/**
 * Values of `--security-opt label=…`, in their order; of two for one part the later one holds.
 * @throws invalid-argument naming the option
 */
export function selinuxOptions(values: readonly string[]): containerV1.SELinuxOptions {
  const options = containerV1.SELinuxOptions.fromPartial({});
  for (const value of values) {
    const bad = (why: string): Error =>
      invalidArgument(`HostConfig.SecurityOpt: "label=${value.slice(0, 64)}": ${why}`);
    if (value === 'disable') {
      options.disable = true;
      continue;
    }
    const [, name = '', given = ''] = /^([a-z]+):(.*)$/s.exec(value) ?? [];
    if (!isField(name)) throw bad(WANTED);
    if (name === 'level' ? !isLevel(given) : !NAME.test(given))
      throw bad(
        name === 'level'
          ? 'wants a level of the form s0, s0:c1,c2 or s0-s0:c0.c1023'
          : `wants a ${name} of letters, digits, "_", "." and "-"`,
      );
    options[FIELDS[name]] = given;
  }
  const { disable, ...parts } = options;
  if (disable && Object.values(parts).some((part) => part !== ''))
    throw invalidArgument('HostConfig.SecurityOpt: label=disable and other label options exclude each other');
  return options;
}

function isField(name: string): name is keyof typeof FIELDS {
  return Object.hasOwn(FIELDS, name);
}

function isLevel(text: string): boolean {
  return text.length <= MOST_LEVEL_BYTES && new RegExp(LEVEL).test(text);
}
