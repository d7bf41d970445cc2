;; What the library of C asks of a system, where there is none. It stands in for WASI preview 1, and leads nowhere: what
;; is printed is swallowed, the one number by chance, by which a buffer that is written past is told, is always the same,
;; and leaving traps. What would be a clock, a file, or an environment is refused before a policy gets here.
(module
  (import "env" "memory" (memory 0))

  (func (export "random_get") (param $at i32) (param $bytes i32) (result i32)
    (memory.fill (local.get $at) (i32.const 42) (local.get $bytes))
    (i32.const 0))

  ;; The sum of all lengths was "written".
  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $more)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; There are no files: `badf`.
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))

  (func (export "proc_exit") (param i32) unreachable))
