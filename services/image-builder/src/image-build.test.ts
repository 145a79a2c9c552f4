import { testPki } from '@atoll/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseImage } from './testing/busybox-image.ts';
import { tarOf } from './testing/tar-of.ts';
import { TestCluster } from './testing/test-cluster.ts';

const ID = '[0-9a-f]{12}';
let cluster: TestCluster;

beforeAll(async () => {
  const pki = await testPki();
  cluster = await TestCluster.start(pki.identity, { hosts: 3 });
  cluster.registry.createImage(baseImage(cluster.registry, { tag: 'busybox' }));
});
afterAll(() => cluster.stop());

describe('the classic build stream', () => {
  test('of a build that runs and of the same one cached', async () => {
    const context = tarOf({
      Dockerfile: 'FROM busybox\nENV GREETING=hello\nCOPY a.txt /data/\nRUN cat /data/a.txt && echo $GREETING >/out\nCMD ["cat", "/out"]\n',
      'a.txt': 'content of a\n',
    });
    const first = await cluster.build(context, { tags: ['app', 'app:v1'] });
    expect(first.failure).toBeUndefined();
    const lines = [
      'Step 1/5 : FROM busybox',
      ` ---> ${ID}`,
      'Step 2/5 : ENV GREETING=hello',
      ` ---> Running in ${ID}`,
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${ID}`,
      'Step 3/5 : COPY a\\.txt /data/',
      ` ---> ${ID}`,
      'Step 4/5 : RUN cat /data/a\\.txt && echo \\$GREETING >/out',
      ` ---> Running in ${ID}`,
      'content of a',
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${ID}`,
      'Step 5/5 : CMD \\["cat", "/out"\\]',
      ` ---> Running in ${ID}`,
      ` ---> Removed intermediate container ${ID}`,
      ` ---> ${first.id.slice(7, 19)}`,
      `Successfully built ${first.id.slice(7, 19)}`,
      'Successfully tagged app:latest',
      'Successfully tagged app:v1',
    ];
    expect(first.text).toMatch(new RegExp(`^${lines.join('\n')}\n$`));

    const calls = cluster.agents.reduce((sum, agent) => sum + agent.calls.length, 0);
    const second = await cluster.build(context, { tags: ['app'] });
    expect(second.text.match(/ ---> Using cache/g)).toHaveLength(4);
    expect(second.text).not.toContain('Running in');
    expect(second.id).toBe(first.id);
    expect(cluster.agents.reduce((sum, agent) => sum + agent.calls.length, 0)).toBe(calls);
  });
});
