// What `import x from "./x.wasm"` gives in Workers.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
