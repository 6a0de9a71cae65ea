/** Bodies that are read into memory whole. Whoever sends one is a function's code and may send any length. */

/** null: it has more than `most` bytes. It is read to its end all the same: who is still sending would not read a refusal. */
export async function readText(request: Request, most: number): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes <= most) text += decoder.decode(chunk, { stream: true });
    else text = "";
  }
  return bytes <= most ? text + decoder.decode() : null;
}
