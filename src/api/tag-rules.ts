/** Tags of scripts: Cloudflare's rules. */
import { ApiError } from "./errors.ts";

export const MAX_TAGS = 8;

/** `,` and `&` separate tags in filters and queries. */
const TAG = /^[^,&]+$/;
const MAX_TAG_LENGTH = 1024;

export function refuseBadTags(tags: readonly string[]): void {
  const count = new Set(tags).size;
  if (count > MAX_TAGS) {
    throw new ApiError("badTags", `${count} tags are more than the ${MAX_TAGS} of a script.`);
  }
  for (const tag of tags) {
    if (!TAG.test(tag) || tag.length > MAX_TAG_LENGTH) {
      throw new ApiError(
        "badTags",
        `The tag '${tag}' is not valid: tags have 1 to ${MAX_TAG_LENGTH} characters, no comma and no ampersand.`,
      );
    }
  }
}

/** `a:yes,b:no`: scripts with the tag a and without the tag b. */
export function parseTagFilter(filter: string): (tags: readonly string[]) => boolean {
  const terms = filter.split(",").map((term) => {
    const match = /^(.+):(yes|no)$/.exec(term.trim());
    if (!match?.[1]) {
      throw new ApiError(
        "badTags",
        `The tag filter '${term}' is not valid: use tag:yes or tag:no.`,
      );
    }
    return { tag: match[1], wanted: match[2] === "yes" };
  });
  return (tags) => terms.every(({ tag, wanted }) => tags.includes(tag) === wanted);
}
