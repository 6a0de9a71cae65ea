/**
 * What the dependency injection inside @peculiar/x509 needs of `Reflect` metadata, a proposal that no engine has:
 * three functions over one map. Import it before that package.
 */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

const missing = {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    const own = metadata.get(target) ?? new Map<unknown, unknown>();
    metadata.set(target, own.set(key, value));
  },
  getOwnMetadata(key: unknown, target: object): unknown {
    return metadata.get(target)?.get(key);
  },
  getMetadata(key: unknown, target: object): unknown {
    for (
      let at: object | null = target;
      at !== null;
      at = Object.getPrototypeOf(at) as object | null
    ) {
      const own = metadata.get(at);
      if (own?.has(key)) return own.get(key);
    }
    return undefined;
  },
};

// A program around us may have brought a complete implementation.
if (!("defineMetadata" in Reflect)) Object.assign(Reflect, missing);
