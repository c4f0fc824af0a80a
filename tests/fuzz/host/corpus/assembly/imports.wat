(component
  (import "sluice:host/log@0.1.0" (instance $log))
  (import "wasi:io/poll@0.2.6" (instance))
  (core module $m (memory (export "memory") 1) (func (export "f") (result i32) i32.const 42))
  (core instance $i (instantiate $m))
  (instance $p (export "log" (instance $log)))
  (export "sluice:metric/provider@0.1.0" (instance $p)))
