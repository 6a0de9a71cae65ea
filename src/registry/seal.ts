/**
 * Secrets at rest: AES-256-GCM under the platform's key. The place (namespace and script) is
 * authenticated with the text, so that a sealed value copied to another script does not open there.
 * Form: the id of the key, a colon, base64 of 12 bytes IV and the ciphertext. Those of a Skep that knew
 * one key only have no id.
 *
 * There may be several keys: the newest seals, all open. Keys are given as base64 of 32 bytes each, newest
 * first, with commas between.
 */

const IV_BYTES = 12;
/** Hex digits of the SHA-256 of a key's text. */
const ID_LENGTH = 8;

export interface Sealer {
  seal(place: string, text: string): Promise<string>;
  /** Throws if none of the keys opens it. */
  open(place: string, sealed: string): Promise<string>;
}

export function placeOf(namespaceId: string, script: string): string {
  return `${namespaceId}/${script}`;
}

/** Under which key it is sealed. null: it does not say. */
export function keyIdOf(sealed: string): string | null {
  return sealed[ID_LENGTH] === ":" ? sealed.slice(0, ID_LENGTH) : null;
}

interface SealingKey {
  readonly id: string;
  readonly key: CryptoKey;
}

/** By their text: importing costs more than sealing. */
const rings = new Map<string, Promise<readonly SealingKey[]>>();

export function createSealer(secretKeys: string): Sealer {
  return {
    async seal(place, text) {
      const [newest] = await ring(secretKeys);
      if (!newest) throw new Error("there is no key to seal secrets with");
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = await crypto.subtle.encrypt(
        parameters(iv, place),
        newest.key,
        new TextEncoder().encode(text),
      );
      return `${newest.id}:${new Uint8Array([...iv, ...new Uint8Array(sealed)]).toBase64()}`;
    },
    async open(place, sealed) {
      const id = keyIdOf(sealed);
      const all = await ring(secretKeys);
      const bytes = Uint8Array.fromBase64(id === null ? sealed : sealed.slice(ID_LENGTH + 1));
      const candidates = id === null ? all : all.filter((each) => each.id === id);
      for (const { key } of candidates) {
        const text = await decrypt(key, place, bytes);
        if (text !== null) return text;
      }
      throw new Error(
        candidates.length === 0
          ? `a secret of ${place} is sealed under the key ${id}, which is not here`
          : `a secret of ${place} cannot be opened: it was sealed for another script or key, or is damaged`,
      );
    },
  };
}

/** The ids of the keys, newest first. */
export async function keyIds(secretKeys: string): Promise<string[]> {
  return (await ring(secretKeys)).map(({ id }) => id);
}

async function decrypt(key: CryptoKey, place: string, bytes: Uint8Array): Promise<string | null> {
  try {
    const text = await crypto.subtle.decrypt(
      parameters(bytes.subarray(0, IV_BYTES), place),
      key,
      bytes.subarray(IV_BYTES),
    );
    return new TextDecoder().decode(text);
  } catch {
    return null; // Another key's, another place's or damaged: the caller tells.
  }
}

function parameters(iv: Uint8Array, place: string): SubtleCryptoEncryptAlgorithm {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(place) };
}

function ring(secretKeys: string): Promise<readonly SealingKey[]> {
  let known = rings.get(secretKeys);
  if (known === undefined) {
    known = Promise.all(secretKeys.split(",").map(importKey));
    rings.set(secretKeys, known);
  }
  return known;
}

async function importKey(text: string): Promise<SealingKey> {
  const [digest, key] = await Promise.all([
    crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)),
    crypto.subtle.importKey("raw", Uint8Array.fromBase64(text), "AES-GCM", false, [
      "encrypt",
      "decrypt",
    ]),
  ]);
  return { id: new Uint8Array(digest).toHex().slice(0, ID_LENGTH), key };
}
