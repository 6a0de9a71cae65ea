/**
 * Secrets at rest: AES-256-GCM under the platform's key. The place (namespace and script) is
 * authenticated with the text, so that a sealed value copied to another script does not open there.
 * Form: base64 of 12 bytes IV and the ciphertext.
 */

const IV_BYTES = 12;

export interface Sealer {
  seal(place: string, text: string): Promise<string>;
  open(place: string, sealed: string): Promise<string>;
}

export function placeOf(namespaceId: string, script: string): string {
  return `${namespaceId}/${script}`;
}

/** Imported keys by their text: importing costs more than sealing. */
const keys = new Map<string, CryptoKey>();

export function createSealer(secretKey: string): Sealer {
  return {
    async seal(place, text) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = await crypto.subtle.encrypt(
        parameters(iv, place),
        await importKey(secretKey),
        new TextEncoder().encode(text),
      );
      return new Uint8Array([...iv, ...new Uint8Array(sealed)]).toBase64();
    },
    async open(place, sealed) {
      const bytes = Uint8Array.fromBase64(sealed);
      const text = await crypto.subtle.decrypt(
        parameters(bytes.subarray(0, IV_BYTES), place),
        await importKey(secretKey),
        bytes.subarray(IV_BYTES),
      );
      return new TextDecoder().decode(text);
    },
  };
}

function parameters(iv: Uint8Array, place: string): SubtleCryptoEncryptAlgorithm {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(place) };
}

async function importKey(secretKey: string): Promise<CryptoKey> {
  const known = keys.get(secretKey);
  if (known) return known;
  const key = await crypto.subtle.importKey(
    "raw",
    Uint8Array.fromBase64(secretKey),
    "AES-GCM",
    false,
    ["encrypt", "decrypt"],
  );
  keys.set(secretKey, key);
  return key;
}
