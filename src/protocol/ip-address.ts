/**
 * Addresses and blocks of addresses. All have the form of IPv6: an IPv4 address is `::ffff:a.b.c.d`, so that it is
 * the same however it is written.
 */

const ADDRESS_BITS = 128n;
const IPV4_MAPPED = 0xffffn << 32n;

export interface AddressBlock {
  readonly address: bigint;
  /** How many bits from the left count: 128 for one address. */
  readonly bits: number;
}

/** IPv6 without brackets. undefined: not an address. */
export function parseAddress(text: string): bigint | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return IPV4_MAPPED | ipv4;
  return text.includes(":") ? parseIpv6(text) : undefined;
}

/** An address, or a block such as `10.0.0.0/8`. undefined: neither, or with bits set beyond its length. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [, addressText = "", lengthText] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  if (address === undefined) return undefined;
  const prefixed = parseIpv4(addressText) === undefined ? 0 : 96;
  const bits = lengthText === undefined ? Number(ADDRESS_BITS) : prefixed + Number(lengthText);
  if (bits > Number(ADDRESS_BITS)) return undefined;
  return leading(address, bits) << (ADDRESS_BITS - BigInt(bits)) === address
    ? { address, bits }
    : undefined;
}

export function blockContains(block: AddressBlock, address: bigint): boolean {
  return leading(address, block.bits) === leading(block.address, block.bits);
}

/** Whether all of `inner` lies in `block`. */
export function blockCovers(block: AddressBlock, inner: AddressBlock): boolean {
  return inner.bits >= block.bits && blockContains(block, inner.address);
}

function leading(address: bigint, bits: number): bigint {
  return address >> (ADDRESS_BITS - BigInt(bits));
}

function parseIpv4(text: string): bigint | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/.test(text)) return undefined;
  const bytes = text.split(".").map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((address, byte) => (address << 8n) | BigInt(byte), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  // The last four bytes may be written as IPv4.
  const [, head = "", dotted] = /^(.*:)(\d+\.[\d.]+)$/.exec(text) ?? [undefined, text, undefined];
  const ipv4 = dotted === undefined ? undefined : parseIpv4(dotted);
  if (dotted !== undefined && ipv4 === undefined) return undefined;
  const groups =
    ipv4 === undefined
      ? head
      : `${head}${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`;
  const halves = groups.split("::");
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...left, ...Array.from({ length: missing }, () => "0"), ...right];
  if (!all.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((address, group) => (address << 16n) | BigInt(`0x${group}`), 0n);
}
