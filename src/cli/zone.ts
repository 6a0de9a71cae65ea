/** `skep zone`: the domains whose hosts Workers of the account may have. */
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callV4 } from "./api-client.ts";
import { CommandError, type CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";

interface ZoneResult {
  readonly id: string;
  readonly name: string;
}

export async function zone(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("zone", ACTIONS, args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    expectWords("zone list", words, []);
    return ((await callV4(platform(), "GET", "/zones")) as readonly ZoneResult[])
      .map(line)
      .join("");
  },
  async add(words, platform) {
    const [name] = expectWords("zone add", words, ["DOMAIN"]);
    return line((await callV4(platform(), "POST", "/zones", { name })) as ZoneResult);
  },
  async remove(words, platform) {
    const [name = ""] = expectWords("zone remove", words, ["DOMAIN"]);
    const found = platform();
    const query = new URLSearchParams({ name });
    const [zone] = (await callV4(
      found,
      "GET",
      `/zones?${query.toString()}`,
    )) as readonly ZoneResult[];
    if (zone === undefined) {
      throw new CommandError(
        `skep zone remove: there is no zone ${name}; skep zone list shows all`,
      );
    }
    await callV4(found, "DELETE", `/zones/${zone.id}`);
    return "";
  },
};

function line({ id, name }: ZoneResult): string {
  return `${id}  ${name}\n`;
}
