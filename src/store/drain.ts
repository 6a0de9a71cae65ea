/**
 * Before a refusal: who is still sending would not read it. The runtime closes a connection on which more than 64 KiB were
 * left unread, and the sender may then see the loss of the connection instead of the answer.
 */
export async function drain(body: ReadableStream | null): Promise<void> {
  if (body === null || body.locked) return;
  try {
    await body.pipeTo(new WritableStream());
  } catch {
    // Whoever sent it has gone: nobody waits for the refusal.
  }
}
