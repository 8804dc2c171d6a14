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

  /** Everything that is for one host. */
  host(host: string): string {
    return `${this.hosts}${host}/`;
  }

  image(fingerprint: string): string {
    return `${this.images}${fingerprint}`;
  }

  get images(): string {
    return `${this.shared}image/`;
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

  /** Below it, the host of each instance, by which a name is one instance's in the whole fleet. */
  get places(): string {
    return `${this.#prefix}place/`;
  }

  place(project: string, name: string): string {
    return `${this.places}${project}/${name}`;
  }

  /** What a host tells of itself. */
  status(host: string): string {
    return `${this.#prefix}status/${host}/`;
  }

  hostStatus(host: string): string {
    return `${this.status(host)}host`;
  }

  /** When a host was there last, about: it stays while the host is away. */
  seen(host: string): string {
    return `${this.status(host)}seen`;
  }

  /** What verifies the identity documents of a host. */
  identityKeys(host: string): string {
    return `${this.status(host)}keys`;
  }

  instanceStatus(host: string, project: string, name: string): string {
    return `${this.status(host)}instance/${project}/${name}`;
  }
}
