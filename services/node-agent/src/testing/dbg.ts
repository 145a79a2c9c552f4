import { TestHost } from './test-host.ts';

const host = await TestHost.create();
console.log('session');
const record = host.record(process.argv.slice(2));
const t = setTimeout(() => {
  console.log(host.output);
  console.log(host.scheduler.statuses);
}, 5000);
try {
  console.log(await host.ensure(record));
  console.log(await host.start(record));
  await new Promise((r) => setTimeout(r, 300));
  console.log(host.scheduler.statuses);
  console.log(JSON.stringify(await host.logs(record.id)));
} catch (e) {
  console.log(e);
}
clearTimeout(t);
console.log(host.output);
await host.dispose();
