;; The n-th Fibonacci number, modulo 2^64 (exact up to n = 93).
;; Source of fibonacci.wasm, whose bytes were assembled by hand from it; `wat2wasm fibonacci.wat` of the
;; WebAssembly Binary Toolkit makes the same file, and test/examples.test.ts checks what it computes.
(module
  (func (export "fibonacci") (param $n i32) (result i64)
    (local $a i64)
    (local $b i64)
    (local $next i64)
    (local.set $b (i64.const 1))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $next (i64.add (local.get $a) (local.get $b)))
        (local.set $a (local.get $b))
        (local.set $b (local.get $next))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $a)))
