#!/usr/bin/env node
/** The `skep` command's entry: with Node's compile cache on, later starts skip most of the compiling. */
import module from "node:module";

// Node 22.8 or newer has it; it does without where the cache directory cannot be written.
module.enableCompileCache?.();
await import("./main.ts");
