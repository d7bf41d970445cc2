;; What Go's runtime asks of a system, where there is none. It stands in for WASI preview 1, and leads nowhere: what is
;; printed is swallowed, what would be read is not there, chance is a constant, and leaving and waiting trap.
;;
;; The runtime measures itself by a clock that goes on by being read. The clock on the wall is asked for by `time.Now`
;; alone, and traps: whatever it said would be a lie.
(module
  (import "env" "memory" (memory 0))
  (global $ticks (mut i64) (i64.const 0))

  ;; Nothing to say about arguments and environment: both counts are 0.
  (func $sizes (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (func $none (param i32 i32) (result i32) (i32.const 0))
  (export "args_sizes_get" (func $sizes))
  (export "args_get" (func $none))
  (export "environ_sizes_get" (func $sizes))
  (export "environ_get" (func $none))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $at i32) (result i32)
    (if (i32.eqz (local.get $clock)) (then unreachable))
    (global.set $ticks (i64.add (global.get $ticks) (i64.const 1000)))
    (i64.store (local.get $at) (global.get $ticks))
    (i32.const 0))
  (func (export "clock_res_get") (param i32 i32) (result i32)
    (i64.store (local.get 1) (i64.const 1000))
    (i32.const 0))

  ;; No zeros, which some would take for "not yet seeded".
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
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))

  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "proc_exit") (param i32) unreachable))
