import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { TestDaemon } from './support/daemon.js';
import { Operator } from './support/host.js';

type Options = Record<string, string>;

/** What a PUT or a PATCH can say. */
interface Body {
  readonly config?: Options;
  readonly devices?: Record<string, Options>;
  readonly profiles?: string[];
  readonly description?: string;
}

interface Instance {
  config: Options;
  devices: Record<string, Options>;
  profiles: string[];
  description: string;
}

type Profile = Omit<Instance, 'profiles'>;

type Step =
  | { readonly kind: 'create' | 'put' | 'patch'; readonly name: string; readonly body: Body }
  | { readonly kind: 'delete'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'putProfile' | 'patchProfile'; readonly name: string; readonly body: Body };

let daemon: TestDaemon;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

/** The same API, as plainly as it can be said. */
class Model {
  readonly profiles = new Map<string, Profile>(
    ['default', 'p1', 'p2'].map((name) => [name, { config: {}, devices: {}, description: '' }]),
  );
  readonly instances = new Map<string, Instance>();

  /** false: it must be refused, and change nothing */
  take(step: Step): boolean {
    if (step.kind === 'putProfile' || step.kind === 'patchProfile')
      return this.#editProfile(step.name, step.body, step.kind);
    const before = this.instances.get(step.name);
    if (step.kind === 'create') {
      if (before !== undefined) return false;
      const { config = {}, devices = {}, profiles = ['default'], description = '' } = step.body;
      this.instances.set(step.name, { config: withoutEmpty(config), devices, profiles, description });
      return true;
    }
    if (before === undefined) return false;
    if (step.kind === 'delete') return this.instances.delete(step.name);
    if (step.kind === 'rename') {
      if (this.instances.has(step.to)) return false;
      this.instances.delete(step.name);
      this.instances.set(step.to, before);
      return true;
    }
    this.instances.set(step.name, step.kind === 'put' ? put(step.body) : patched(before, step.body));
    return true;
  }

  /** config and devices as the guest has them */
  expanded({ config, devices, profiles }: Instance): { config: Options; devices: object } {
    const used = profiles.map((name) => this.profiles.get(name) as Profile);
    return {
      config: Object.assign({}, ...used.map((profile) => profile.config), config),
      devices: Object.assign({}, ...used.map((profile) => profile.devices), devices),
    };
  }

  #editProfile(name: string, body: Body, kind: string): boolean {
    const before = this.profiles.get(name) as Profile;
    const { profiles: _, ...profile } = kind === 'putProfile' ? put(body) : patched({ ...before, profiles: [] }, body);
    this.profiles.set(name, profile);
    return true;
  }
}

function put({ config = {}, devices = {}, profiles = [], description = '' }: Body): Instance {
  return { config: withoutEmpty(config), devices, profiles, description };
}

function patched(before: Instance, { config, devices, profiles, description }: Body): Instance {
  return {
    config: withoutEmpty({ ...before.config, ...config }),
    devices: { ...before.devices, ...devices },
    profiles: profiles ?? before.profiles,
    description: description ?? before.description,
  };
}

function withoutEmpty(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== ''));
}

function withoutVolatile(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !key.startsWith('volatile.')));
}

const bodies: fc.Arbitrary<Body> = fc.record(
  {
    config: fc.dictionary(
      fc.constantFrom('user.a', 'user.b', 'cloud-init.user-data', 'limits.cpu'),
      fc.constantFrom('', '1', 'two', 'ä\n"'),
    ),
    devices: fc.dictionary(
      fc.constantFrom('d', 'eth0'),
      fc.record(
        { type: fc.constantFrom('disk', 'nic', 'none'), path: fc.constantFrom('/a', '/b') },
        { requiredKeys: ['type'] },
      ),
    ),
    profiles: fc.shuffledSubarray(['default', 'p1', 'p2']),
    description: fc.constantFrom('', 'one', 'two'),
  },
  { requiredKeys: [] },
);
const names = fc.constantFrom('a', 'b', 'c');
const profileBodies = bodies.map(({ profiles: _, ...body }) => body);
// Through JSON, because fast-check's objects have no prototype and would equal nothing.
const steps: fc.Arbitrary<Step> = fc
  .oneof(
    fc.record({ kind: fc.constant('create' as const), name: names, body: bodies }),
    fc.record({ kind: fc.constantFrom('put' as const, 'patch' as const), name: names, body: bodies }),
    fc.record({ kind: fc.constant('delete' as const), name: names }),
    fc.record({ kind: fc.constant('rename' as const), name: names, to: names }),
    fc.record({
      kind: fc.constantFrom('putProfile' as const, 'patchProfile' as const),
      name: fc.constantFrom('default', 'p1', 'p2'),
      body: profileBodies,
    }),
  )
  .map((step) => JSON.parse(JSON.stringify(step)));

/** Sends a step; false: it was refused. */
async function send(step: Step, project: string): Promise<boolean> {
  const query = `?project=${project}`;
  const path = `/1.0/instances/${step.name}${query}`;
  const requests: Record<Step['kind'], () => [method: string, path: string, body?: unknown]> = {
    create: () => ['POST', `/1.0/instances${query}`, { name: step.name, ...('body' in step ? step.body : {}) }],
    put: () => ['PUT', path, 'body' in step ? step.body : {}],
    patch: () => ['PATCH', path, 'body' in step ? step.body : {}],
    delete: () => ['DELETE', path],
    rename: () => ['POST', path, { name: 'to' in step ? step.to : '' }],
    putProfile: () => ['PUT', `/1.0/profiles/${step.name}${query}`, 'body' in step ? step.body : {}],
    patchProfile: () => ['PATCH', `/1.0/profiles/${step.name}${query}`, 'body' in step ? step.body : {}],
  };
  const answer = JSON.parse((await operator.request(...requests[step.kind]())).body);
  if (answer.type !== 'async') return answer.type === 'sync';
  return (await operator.metadata<{ err: string }>('GET', `${answer.operation}/wait`)).err === '';
}

async function agrees(model: Model, project: string): Promise<void> {
  const instances = await operator.metadata<
    (Instance & { name: string; expanded_config: Options; expanded_devices: object })[]
  >('GET', `/1.0/instances?recursion=1&project=${project}`);
  assert.deepEqual(
    instances.map(({ name, config, devices, profiles, description, expanded_config, expanded_devices }) => [
      name,
      { config: withoutVolatile(config), devices, profiles, description },
      { config: withoutVolatile(expanded_config), devices: expanded_devices },
    ]),
    [...model.instances]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, instance]) => [name, instance, model.expanded(instance)]),
  );
}

let project = 0;

test('any sequence of writes leaves what a plain model of the API says, and a restart keeps it', async () => {
  const projects: [string, Model][] = [];
  const check = fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 25 }), async (sequence) => {
    const name = `run${++project}`;
    await operator.metadata('POST', '/1.0/projects', { name });
    for (const profile of ['p1', 'p2'])
      await operator.metadata('POST', `/1.0/profiles?project=${name}`, { name: profile });
    const model = new Model();
    for (const step of sequence) {
      assert.equal(await send(step, name), model.take(step), JSON.stringify(step));
      await agrees(model, name);
    }
    projects.push([name, model]);
  });
  await fc.assert(check, { numRuns: 40 });
  await daemon.end('SIGKILL');
  await daemon.run();
  for (const [name, model] of projects) await agrees(model, name);
});

test('two writers with the same tag: one wins, the other gets 412, nothing is mixed', async () => {
  await operator.metadata('POST', '/1.0/projects', { name: 'race', config: { 'user.k': '0' } });
  await operator.metadata('POST', '/1.0/profiles', { name: 'race', config: { 'user.k': '0' } });
  await operator.metadata('POST', '/1.0/instances', { name: 'race', config: { 'user.k': '0' }, profiles: [] });
  for (const path of ['/1.0/instances/race', '/1.0/profiles/race', '/1.0/projects/race']) {
    for (const methods of [
      ['PUT', 'PUT'],
      ['PATCH', 'PATCH'],
      ['PUT', 'PATCH'],
    ] as const) {
      const etag = await operator.etag(path);
      const bodies = ['1', '2'].map((n) => ({
        description: `${etag.slice(0, 8)} ${n}`,
        config: { 'user.k': `${etag.slice(0, 8)} ${n}`, 'user.l': n },
      }));
      const answers = await Promise.all(
        bodies.map((body, writer) => operator.request(methods[writer] as string, path, body, { 'if-match': etag })),
      );
      const won = answers.map(({ status }) => status < 300);
      assert.deepEqual([...won].sort(), [false, true], `${methods} ${path}`);
      const loser = answers[won.indexOf(false)];
      assert.equal(loser?.status, 412);
      assert.match(loser?.body ?? '', /"error":"ETag doesn't match: /);
      const winner = bodies[won.indexOf(true)];
      const { description, config } = await operator.metadata<Profile>('GET', path);
      assert.equal(description, winner?.description);
      assert.deepEqual([config['user.k'], config['user.l']], [winner?.config['user.k'], winner?.config['user.l']]);
      assert.notEqual(await operator.etag(path), etag);
    }
  }
});
