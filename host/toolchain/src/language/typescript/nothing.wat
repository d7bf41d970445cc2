;; What `QuickJS` asks of a system, where there is none. It is linked beside the interpreter, in the place of WASI 0.2,
;; so that a policy in TypeScript imports what any other does: the log.
;;
;; A policy has no clock, network, file, environment or random source, and has to come out the same wherever it is built
;; and however often it is asked. So time stands still, chance is a constant, what is written is swallowed, what would be
;; read is not there, and what cannot come true traps. Programs never get that far: the SDK's `sandbox` has taken the clock
;; and chance away and says so.
;;
;; The signatures are those of the canonical ABI (lowered); `$result` is where an answer is written.
(module
  (@dylink.0 (mem-info (memory 0 0)))
  (import "env" "memory" (memory 0))

  (func $ok (param $result i32) (i32.store8 (local.get $result) (i32.const 0)))
  (func $empty (param $result i32)
    (i32.store (local.get $result) (i32.const 0))
    (i32.store offset=4 (local.get $result) (i32.const 0)))
  (func $dropped (param i32))

  ;; Not random at all: tables are laid out the same in every build. Whoever chooses keys to make them slow meets the
  ;; limit of time.
  (func (export "wasi:random/insecure-seed@0.2.9#insecure-seed") (param $result i32)
    (i64.store (local.get $result) (i64.const 0x6174746f726e2031))
    (i64.store offset=8 (local.get $result) (i64.const 0x6174746f726e2032)))

  ;; 1970, for ever: whoever asks is told by the SDK that there is no clock.
  (func (export "wasi:clocks/wall-clock@0.2.0#now") (param $result i32)
    (i64.store (local.get $result) (i64.const 0))
    (i32.store offset=8 (local.get $result) (i32.const 0)))
  (func (export "wasi:clocks/monotonic-clock@0.2.0#now") (result i64) (i64.const 0))
  (func (export "wasi:clocks/monotonic-clock@0.2.0#subscribe-duration") (param i64) (result i32) unreachable)

  ;; No variables, no directories, no terminal.
  (export "wasi:cli/environment@0.2.0#get-environment" (func $empty))
  (export "wasi:filesystem/preopens@0.2.0#get-directories" (func $empty))
  (export "wasi:cli/terminal-stdin@0.2.0#get-terminal-stdin" (func $ok))
  (export "wasi:cli/terminal-stdout@0.2.0#get-terminal-stdout" (func $ok))
  (export "wasi:cli/terminal-stderr@0.2.0#get-terminal-stderr" (func $ok))

  ;; What is written is taken and goes nowhere.
  (func (export "wasi:cli/stdin@0.2.0#get-stdin") (result i32) (i32.const 1))
  (func (export "wasi:cli/stdout@0.2.0#get-stdout") (result i32) (i32.const 2))
  (func (export "wasi:cli/stderr@0.2.0#get-stderr") (result i32) (i32.const 3))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.check-write") (param i32) (param $result i32)
    (i32.store8 (local.get $result) (i32.const 0))
    (i64.store offset=8 (local.get $result) (i64.const 65536)))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.write") (param i32 i32 i32) (param $result i32)
    (call $ok (local.get $result)))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.blocking-flush") (param i32) (param $result i32)
    (call $ok (local.get $result)))

  ;; There is nothing to wait for, and no file.
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.subscribe") (param i32) (result i32) unreachable)
  (func (export "wasi:io/poll@0.2.0#[method]pollable.block") (param i32) unreachable)
  (func (export "wasi:io/poll@0.2.0#poll") (param i32 i32 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.read-via-stream") (param i32 i64 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.write-via-stream") (param i32 i64 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.append-via-stream") (param i32 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.get-flags") (param i32 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.stat") (param i32 i32) unreachable)
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.metadata-hash") (param i32 i32) unreachable)
  (func (export "wasi:cli/exit@0.2.0#exit") (param i32) unreachable)

  ;; A program is one text: there are no modules to be found later.
  (func (export "local:init/module-loader#resolve") (param i32 i32 i32 i32 i32) unreachable)
  (func (export "local:init/module-loader#load") (param i32 i32 i32) unreachable)

  (export "wasi:io/error@0.2.0#[resource-drop]error" (func $dropped))
  (export "wasi:io/poll@0.2.0#[resource-drop]pollable" (func $dropped))
  (export "wasi:io/streams@0.2.0#[resource-drop]input-stream" (func $dropped))
  (export "wasi:io/streams@0.2.0#[resource-drop]output-stream" (func $dropped))
  (export "wasi:cli/terminal-input@0.2.0#[resource-drop]terminal-input" (func $dropped))
  (export "wasi:cli/terminal-output@0.2.0#[resource-drop]terminal-output" (func $dropped))
  (export "wasi:filesystem/types@0.2.0#[resource-drop]descriptor" (func $dropped))
  (func (export "wasi_snapshot_preview1#reset_adapter_state")))
