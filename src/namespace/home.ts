/**
 * Rendezvous hashing: every edge names the same home for a version without asking anyone, and when the
 * number of edges changes only the versions of the edges that came or went move.
 */

/** Index of the home edge, 0 <= index < edges. */
export function homeOf(versionId: string, edges: number): number {
  let home = 0;
  let highest = -1;
  for (let edge = 0; edge < edges; edge++) {
    const weight = hashOf(`${versionId}/${edge}`);
    if (weight > highest) {
      highest = weight;
      home = edge;
    }
  }
  return home;
}

/** FNV-1a, 32 bit, with the finaliser of MurmurHash3 since inputs differ in their last character only. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
