// Computes in WebAssembly. The module is imported already compiled, so a request only instantiates it.
import fibonacciModule from "./fibonacci.wasm";

const MAX_N = 93; // the last Fibonacci number below 2^64

const { fibonacci } = new WebAssembly.Instance(fibonacciModule).exports as {
  fibonacci: (n: number) => bigint;
};

export default {
  fetch(request): Response {
    const text = new URL(request.url).searchParams.get("n") ?? "50";
    const n = Number(text);
    if (!Number.isInteger(n) || n < 0 || n > MAX_N) {
      return Response.json(
        { error: `n must be a whole number from 0 to ${MAX_N}, not ${JSON.stringify(text)}` },
        { status: 400 },
      );
    }
    // The result is signed in WebAssembly's JavaScript interface and too large for a JSON number.
    return Response.json({ n, fibonacci: BigInt.asUintN(64, fibonacci(n)).toString() });
  },
} satisfies ExportedHandler;
