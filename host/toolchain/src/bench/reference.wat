;; The policy that others are measured beside: it wants nothing, reads nothing, and abstains.
;; A context is lowered into its memory all the same, as into every policy's.
(module
  (memory (export "memory") 2)
  ;; Where free memory begins. The first page holds what is said; every evaluation starts afresh, so nothing is freed.
  (global $next (mut i32) (i32.const 65536))

  ;; What is said of it: three strings, each a pointer and a length.
  (data (i32.const 0) "\40\00\00\00\09\00\00\00\50\00\00\00\05\00\00\00\60\00\00\00\02\00\00\00")
  (data (i32.const 64) "reference")
  (data (i32.const 80) "1.0.0")
  (data (i32.const 96) "{}")
  ;; At 128: the settings are taken, and no facts, reasons and counters are wanted. All of that is 0.
  ;; At 192: no failure (0), and the fourth of the verdicts, `abstain`.
  (data (i32.const 200) "\03")

  (func (export "cabi_realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32)
    (result i32)
    (local $at i32)
    (local $missing i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $bytes)))
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (global.get $next) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    (memory.copy (local.get $at) (local.get $old) (local.get $old_bytes))
    (local.get $at))

  (func (export "attorn:policy/policy@0.1.0#describe") (result i32) (i32.const 0))
  (func (export "attorn:policy/policy@0.1.0#init") (param i32 i32) (result i32) (i32.const 128))
  (func (export "attorn:policy/policy@0.1.0#evaluate") (param i32) (result i32) (i32.const 192)))
