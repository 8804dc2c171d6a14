import { Turn } from '../concurrency/turn.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import type { Loaded } from '../store/rows.js';
import type { Commit } from './commit.js';
import { InstanceTable } from './instance-table.js';
import type { Layer } from './layer.js';
import { Table } from './record-table.js';

/** What a commit changes, over the tables. */
export interface Layers {
  readonly instances: Layer<Instance>;
  readonly profiles: Layer<Profile>;
  readonly projects: Layer<Project>;
}

/** Everything that is stored, in memory. */
export class Tables {
  readonly profiles = new Table<Profile>('Profile');
  readonly projects = new Table<Project>('Project');
  readonly instances = new InstanceTable(this.profiles);

  load({ instances, profiles, projects, seedless }: Loaded): void {
    for (const project of projects) this.projects.load(project);
    for (const profile of profiles) this.profiles.load(profile);
    for (const instance of instances) this.instances.load(instance, !seedless.has(instance.id));
  }

  /** A commit holds from here on: each reader sees all of it. */
  enter({ layers, runs, growth }: Commit): void {
    this.projects.enter(layers.projects);
    this.profiles.enter(layers.profiles);
    this.instances.enter(layers.instances);
    this.instances.count(runs, growth);
  }

  /** To be waited for before the next commit enters. */
  async settle(): Promise<void> {
    const turn = new Turn();
    for (const table of [this.projects, this.profiles, this.instances]) await table.settle(turn);
  }
}
