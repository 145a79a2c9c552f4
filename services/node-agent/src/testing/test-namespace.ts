import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

/** A network namespace with a link to this one; gives the addresses of both ends. */
export function makeNamespace(name: string): { outer: string; inner: string } {
  const block = `198.${18 + randomInt(2)}.${randomInt(256)}`;
  const last = randomInt(64) * 4;
  const [outer, inner] = [`${block}.${last + 1}`, `${block}.${last + 2}`];
  const link = name.slice(-8);
  const ip = (...args: string[]): Buffer => execFileSync('ip', args);
  ip('netns', 'add', name);
  ip('link', 'add', `at${link}`, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', name);
  ip('addr', 'add', `${outer}/30`, 'dev', `at${link}`);
  ip('link', 'set', `at${link}`, 'up');
  ip('-n', name, 'addr', 'add', `${inner}/30`, 'dev', 'uplink');
  ip('-n', name, 'link', 'set', 'uplink', 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'route', 'add', 'default', 'via', outer);
  return { outer, inner };
}
