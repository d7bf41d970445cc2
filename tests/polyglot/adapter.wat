;; Stands in for WASI preview 1, for languages whose start needs it. A policy has no clock, network, file,
;; environment or random source, so nothing here leads anywhere: what is written is swallowed, what would
;; be read is not there, time stands nearly still, random bytes are always the same, and leaving traps.
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

  ;; A clock that only goes on by being read, 1 us each time.
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (global.set $ticks (i64.add (global.get $ticks) (i64.const 1000)))
    (i64.store (local.get 2) (global.get $ticks))
    (i32.const 0))
  (func (export "clock_res_get") (param i32 i32) (result i32)
    (i64.store (local.get 1) (i64.const 1000))
    (i32.const 0))

  ;; Not random at all, and no zeros, which some would take for "not yet seeded".
  (func (export "random_get") (param i32 i32) (result i32)
    (memory.fill (local.get 0) (i32.const 42) (local.get 1))
    (i32.const 0))

  ;; The output is swallowed: the sum of all lengths was "written".
  (func (export "fd_write") (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $iovs))))
        (local.set $iovs (i32.add (local.get $iovs) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $more)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; There are no other files: `badf`.
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
  ;; Waiting would never end.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "adapter_monotonic_clock_set_paused") (param i32)))
