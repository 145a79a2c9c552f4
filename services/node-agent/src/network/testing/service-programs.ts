import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Programs in the networks of containers: those behind a service, and those that ask it. */
export class ServicePrograms {
  readonly #running: ChildProcess[] = [];

  /** Says `text` to all who connect to port 80, by TCP (and sends back what they send) and by UDP. Resolves when it listens. */
  async serve(pid: number, text: string): Promise<void> {
    const script = `
      const text = ${JSON.stringify(text)};
      const udp = require('dgram').createSocket({ type: 'udp6' }).on('message', (_, peer) => udp.send(text, peer.port, peer.address));
      const tcp = require('net').createServer((socket) => { socket.on('error', () => {}); socket.write(text + ' ' + socket.remoteAddress + '\\n'); socket.pipe(socket); });
      udp.bind(80, '::', () => tcp.listen(80, '::', () => console.log('ready')));`;
    await this.#start(pid, script);
  }

  /** Sends a datagram every 20 ms from one port; `last` is the latest answer. */
  async sendFromOnePort(pid: number, address: string): Promise<{ last: string }> {
    const type = address.includes(':') ? 'udp6' : 'udp4';
    const script = `
      const udp = require('dgram').createSocket('${type}').on('message', (text) => console.log(String(text))).on('error', () => {});
      setInterval(() => udp.send('x', 80, '${address}', () => {}), 20);`;
    return await this.#start(pid, script);
  }

  /** Holds a connection; what is written to it comes back in `last`. */
  async connect(pid: number, address: string): Promise<{ last: string; write: (text: string) => void }> {
    const script = `
      const socket = require('net').connect(80, '${address}').on('error', (error) => console.log(error.code)).on('close', () => console.log('closed'));
      socket.pipe(process.stdout);
      process.stdin.pipe(socket);`;
    return await this.#start(pid, script);
  }

  /** Who answers to so many connections: each answer, and the address of who asked as the server saw it. */
  ask(
    pid: number,
    address: string,
    count: number,
  ): { readonly answers: ReadonlySet<string>; readonly seenAs: ReadonlySet<string> } {
    const script = `
      const net = require('net');
      const one = () => new Promise((done) => {
        const socket = net.connect({ port: 80, host: '${address}', timeout: 3000 });
        socket.on('data', (text) => { done(String(text).trim()); socket.destroy(); });
        socket.on('timeout', () => { done('timeout -'); socket.destroy(); });
        socket.on('error', (error) => done(error.code + ' -'));
      });
      Promise.all(Array.from({ length: ${count} }, one)).then((all) => { console.log(JSON.stringify(all)); process.exit(); });`;
    const said = execFileSync('nsenter', [...inside(pid), process.execPath, '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    const all = (JSON.parse(said) as string[]).map((line) => line.split(' '));
    return {
      answers: new Set(all.map(([text = '']) => text)),
      seenAs: new Set(all.map(([, from = '']) => from.replace(/^::ffff:/, ''))),
    };
  }

  async stop(): Promise<void> {
    for (const child of this.#running.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  }

  /** Resolves with its first line. */
  async #start(pid: number, script: string): Promise<{ last: string; write: (text: string) => void }> {
    const child = spawn('nsenter', [...inside(pid), process.execPath, '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#running.push(child);
    const said = { last: '', write: (text: string) => void child.stdin.write(text) };
    child.stdin.on('error', () => undefined);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.last = text.trim().split('\n').at(-1) ?? '';
    });
    await once(child.stdout, 'data');
    return said;
  }
}

const inside = (pid: number): readonly string[] => [`--net=/proc/${pid}/ns/net`];
