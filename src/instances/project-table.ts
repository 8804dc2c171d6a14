import { Fault, invalid } from '../errors.js';
import {
  type Config,
  defaultProfile,
  defaultProject,
  type Instance,
  type Profile,
  type Project,
} from '../model/instance.js';
import type { Transaction } from './draft.js';
import { withoutEmpty } from './edit.js';
import { checkOther } from './record-table.js';
import { checkProjectName } from './validate.js';

/** What an operator says of a project. */
export interface WantedProject {
  readonly description: string;
  readonly config: Config;
}

/**
 * What LXD's clients ask of a project: has it its own profiles, images, and so on? Only what is true may be asked for.
 */
export const projectFeatures: Config = new Map([
  ['features.images', 'false'],
  ['features.networks', 'false'],
  ['features.profiles', 'true'],
  ['features.storage.buckets', 'false'],
  ['features.storage.volumes', 'false'],
]);

/**
 * A project, and the profile that each one has.
 * @throws Fault invalid-value, naming the field, or already-exists
 */
export function createProject(transaction: Transaction, name: string, wanted: WantedProject): void {
  checkProjectName(name);
  addProject(transaction, name, checkedProject(wanted));
}

/** The same, with a name that others have given it: LXD takes many that we do not. @throws Fault already-exists */
export function addProject(transaction: Transaction, name: string, wanted: WantedProject): void {
  const { projects, profiles } = transaction;
  projects.create({ id: projects.newId(), project: '', name, ...wanted });
  const description = `Default devlxd profile for project ${name}`;
  const empty = { config: new Map(), devices: new Map(), changedAt: '' };
  profiles.create({ id: profiles.newId(), project: name, name: defaultProfile, description, ...empty });
}

/** @throws Fault invalid-value, naming the field */
export function editProject(transaction: Transaction, before: Project, wanted: WantedProject): void {
  transaction.projects.replace(before, { ...before, ...checkedProject(wanted) });
}

/** @throws Fault invalid-value, already-exists, forbidden or in-use */
export function renameProject(transaction: Transaction, before: Project, name: string): void {
  checkEmpty(transaction, before, 'renamed');
  checkProjectName(name);
  checkOther('Project', before.name, name);
  transaction.projects.replace(before, { ...before, name });
  for (const profile of transaction.profiles.list(before.name)) {
    transaction.profiles.replace(profile, { ...profile, project: name });
  }
}

/** @throws Fault forbidden or in-use */
export function removeProject(transaction: Transaction, project: Project): void {
  checkEmpty(transaction, project, 'deleted');
  for (const profile of transaction.profiles.list(project.name)) transaction.profiles.remove(profile);
  transaction.projects.remove(project);
}

function checkEmpty(transaction: Transaction, { name }: Project, done: string): void {
  if (name === defaultProject) throw new Fault('forbidden', `The "${name}" project cannot be ${done}`);
  for (const { project, name: first } of inProjects(transaction)) {
    if (project === name) throw new Fault('in-use', `Only empty projects can be ${done}; "${name}" has "${first}"`);
  }
}

/** What makes a project one that is not empty. */
function* inProjects(transaction: Transaction): Iterable<Instance | Profile> {
  yield* transaction.values();
  for (const profile of transaction.profiles.values()) if (profile.name !== defaultProfile) yield profile;
}

/** @throws Fault invalid-value, naming the key */
export function checkedProject({ description, config }: WantedProject): WantedProject {
  for (const [key, value] of config) {
    if (key.startsWith('user.') && key.length > 'user.'.length) continue;
    if (!projectFeatures.has(key)) throw invalid(`config.${key}`, 'Unknown key of a project; it has user.* keys');
    if (projectFeatures.get(key) !== value) {
      throw invalid(`config.${key}`, `is always ${projectFeatures.get(key)}: projects are plain name spaces here`);
    }
  }
  const own = new Map([...withoutEmpty(config)].filter(([key]) => !projectFeatures.has(key)));
  return { description, config: own };
}
