import { text } from 'node:stream/consumers';
import { envelopeOf, pathOf } from './requests.js';
const imageTypes = { file: 'application/octet-stream', form: 'multipart/form-data; boundary=' };
/** /1.0/images; they belong to no project. Fingerprints may be the beginning of one, where it fits one image only. */
export class Images {
    #requests;
    constructor(requests) {
        this.#requests = requests;
    }
    /** By the time of their import. filter: such as `properties.os=Debian` */
    async list({ filter } = {}) {
        return this.#requests.request('GET', pathOf('images', undefined, { recursion: '1', filter }));
    }
    /** @throws ApiError 404 */
    async get(fingerprint) {
        return this.#requests.request('GET', pathOf('images', fingerprint));
    }
    /**
     * Sends an image of any length, on a connection of its own. size: bytes of the body
     * @returns its fingerprint, when it is stored
     * @throws ApiError 400 when it is there already, or has another fingerprint; ConnectionError
     */
    async import(body, size, described = {}) {
        const { metadata } = await this.#requests.upload('/1.0/images', body, size, headersOf(described));
        return String(metadata?.['fingerprint']);
    }
    /** Its bytes: the file, or both files of a split one as a form. @throws ApiError 404 */
    async export(fingerprint) {
        const path = `${pathOf('images', fingerprint)}/export`;
        const response = await this.#requests.connection.stream({ method: 'GET', path, alone: true });
        if (response.statusCode === 200)
            return response;
        const refused = { status: response.statusCode ?? 0, headers: {}, text: await text(response) };
        throw new Error(`an export is answered by a file or an error: ${envelopeOf(refused).type}`);
    }
    /** @throws ApiError 404 */
    async patch(fingerprint, changed) {
        await this.#requests.request('PATCH', pathOf('images', fingerprint), changed);
    }
    /** ExportQueue that run go on. @throws ApiError 404 */
    async delete(fingerprint) {
        await this.#requests.request('DELETE', pathOf('images', fingerprint));
    }
}
function headersOf({ filename = '', properties = {}, boundary, fingerprint, ...flags }) {
    return {
        'content-type': boundary === undefined ? imageTypes.file : `${imageTypes.form}${boundary}`,
        'x-lxd-filename': utf8Header(filename),
        'x-lxd-public': String(flags.public ?? false),
        'x-lxd-cached': String(flags.cached ?? false),
        'x-lxd-properties': new URLSearchParams(properties).toString(),
        ...(fingerprint === undefined ? {} : { 'x-lxd-fingerprint': fingerprint }),
    };
}
/** The bytes of the text's UTF-8, as Go's clients send them; a header's characters stand for one byte each. */
function utf8Header(value) {
    return Buffer.from(value, 'utf8').toString('latin1');
}
//# sourceMappingURL=image-collection.js.map