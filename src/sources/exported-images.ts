import type { IncomingMessage } from 'node:http';
import type { SourceSetting } from '../config/dialects.js';
import type { Conditions } from '../images/download.js';
import { type Image, isForGuests } from '../model/image.js';
import { defaultProject, type PeerName } from '../model/instance.js';
import { SourceApi, type SourceLimits } from './source-api.js';

/** What is read of an image (api.Image). */
type ApiImage = Pick<Image, 'public' | 'cached'>;

/** The images of a source. Guests of its instances have them by the same rules as others have ours. */
export class SourceImages {
  readonly name: PeerName;
  readonly #api: SourceApi;

  constructor(source: SourceSetting, limits: SourceLimits) {
    this.name = source.name;
    this.#api = new SourceApi(source, limits);
  }

  /**
   * The source's own answer for an image named by its full fingerprint; its body must be read, or destroyed. It
   * is looked for in the instance's project, and then in the default one, where the source itself looks for what its
   * guests ask for. gone: ends it at any time
   * @returns undefined: there is none, or none for guests
   * @throws Error, when the source is away
   */
  async export(
    project: string,
    fingerprint: string,
    conditions: Conditions,
    gone: AbortSignal,
  ): Promise<IncomingMessage | undefined> {
    for (const place of new Set([project, defaultProject])) {
      const query = `?project=${encodeURIComponent(place)}`;
      const image = (await this.#api.get(`/1.0/images/${fingerprint}${query}`)) as ApiImage | undefined;
      if (image === undefined || !isForGuests(image)) continue;
      return await this.#api.stream(`/1.0/images/${fingerprint}/export${query}`, headersOf(conditions), gone);
    }
    return undefined;
  }

  /** What is being read fails. */
  close(): void {
    this.#api.close();
  }
}

function headersOf({ range, ifRange, ifNoneMatch }: Conditions): Record<string, string> {
  const headers = { Range: range, 'If-Range': ifRange, 'If-None-Match': ifNoneMatch };
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
}
