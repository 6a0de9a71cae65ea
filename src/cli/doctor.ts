/** `skep doctor`: what protects a platform on this machine. Exit code 0 if all of it is on, else 1. */
import { examine, type Finding } from "../supervisor/sandbox/examination.ts";
import { findWorkerd } from "../supervisor/workerd-binary.ts";

export async function doctor(): Promise<number> {
  const findings = await examine(findWorkerd());
  process.stdout.write(`${report(findings)}\n`);
  return findings.every(({ off }) => off === undefined) ? 0 : 1;
}

export function report(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const indent = " ".repeat("off  ".length + width + 2);
  return findings
    .flatMap(({ name, purpose, off }) => [
      `${off === undefined ? "on " : "off"}  ${name.padEnd(width)}  ${purpose}`,
      ...(off === undefined ? [] : [`${indent}why: ${off.why}`, `${indent}remedy: ${off.remedy}`]),
    ])
    .join("\n");
}
