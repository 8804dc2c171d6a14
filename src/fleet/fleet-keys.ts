/** Where everything is in etcd; docs/fleet.md has the table. */
export class FleetKeys {
  readonly #prefix: string;

  /** prefix: begins and ends with a slash */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The instances of a host. */
  instances(host: string): string {
    return `${this.#prefix}host/${host}/instance/`;
  }

  instance(host: string, project: string, name: string): string {
    return `${this.instances(host)}${project}/${name}`;
  }

  /** Below it, everything of each host. */
  get hosts(): string {
    return `${this.#prefix}host/`;
  }

  /** Below it, what each host tells. */
  get statuses(): string {
    return `${this.#prefix}status/`;
  }

  /** What all hosts read. */
  get shared(): string {
    return `${this.#prefix}shared/`;
  }

  profile(project: string, name: string): string {
    return `${this.shared}profile/${project}/${name}`;
  }

  project(name: string): string {
    return `${this.shared}project/${name}`;
  }

  /** What a host tells of itself. */
  status(host: string): string {
    return `${this.#prefix}status/${host}/`;
  }

  hostStatus(host: string): string {
    return `${this.status(host)}host`;
  }

  instanceStatus(host: string, project: string, name: string): string {
    return `${this.status(host)}instance/${project}/${name}`;
  }
}
