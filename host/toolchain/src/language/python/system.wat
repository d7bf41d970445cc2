;; What CPython asks of a system, where there is none. It is linked beside the interpreter, in the place of WASI 0.2, so that
;; a policy in Python imports what any other does: the log.
;;
;; While a policy is started there is one file: the archive of all modules, at `/python`. It is no part of any memory, so
;; nothing of it is left in what the interpreter remembers; and when that stands still, this module is replaced by the same
;; one without it. From then on there are no files at all.
;;
;; There is no clock: each says a time that no reader can hold, so that whoever asks is told so by an error, also while a
;; policy is built, where an answer would have stayed the same for ever. There is no chance: what has to be there for the
;; interpreter to start is a constant, which the SDK lets nobody read, and then there is none. What is written is swallowed.
;; What cannot come true is an error, or traps.
;;
;; The signatures are those of the canonical ABI (lowered); `$result` is where an answer is written. What `{{…}}` stands for
;; is put in by `system.rs`.
(module
  (@dylink.0 (mem-info (memory 128 3)))
  (import "env" "memory" (memory 0))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "env" "exports#init" (func $init (param i32) (result i32)))
  (import "env" "cabi_post_exports#init" (func $post_init (param i32)))

  ;; The archive, and the variables: each name after the other, as `get-environment` says where they are.
  (data $archive "")
  (data $variables "PYTHONHOME" "/python" "PYTHONPATH" "/python" "PYTHONHASHSEED" "0" "PYTHONDONTWRITEBYTECODE" "1"
    "PYTHONNOUSERSITE" "1" "PYTHONUTF8" "1")
  ;; The name of the one directory that was opened before.
  (data $root "/")
  (global $archive_bytes i64 (i64.const {{bytes}}))
  ;; Streams are counted, and each has a place for how far it was read. There are 16
  ;; places, and the stream after them takes that of the first: the interpreter opens a stream for each read, and reads
  ;; from no earlier one again.
  (global $streams (mut i32) (i32.const 0))

  ;; What starts it, as the toolchain calls it.
  (func (export "init") (param i32) (result i32) (call $init (local.get 0)))
  (func (export "cabi_post_init") (param i32) (call $post_init (local.get 0)))

  (func $allocate (param $bytes i32) (param $align i32) (result i32)
    (call $realloc (i32.const 0) (i32.const 0) (local.get $align) (local.get $bytes)))
  (func $ok (param $result i32) (i32.store8 (local.get $result) (i32.const 0)))
  (func $empty (param $result i32)
    (i32.store (local.get $result) (i32.const 0))
    (i32.store offset=4 (local.get $result) (i32.const 0)))
  (func $dropped (param i32))
  ;; An error of files, where what would be answered is aligned to 1, 4 or 8 bytes: `no-entry`, `bad-descriptor`, …
  (func $no1 (param $result i32) (param $code i32)
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store8 offset=1 (local.get $result) (local.get $code)))
  (func $no4 (param $result i32) (param $code i32)
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store8 offset=4 (local.get $result) (local.get $code)))
  (func $no8 (param $result i32) (param $code i32)
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store8 offset=8 (local.get $result) (local.get $code)))

  ;; Variables.
  (func $variable (param $at i32) (param $from i32) (param $name i32) (param $value i32) (result i32)
    (local $text i32)
    (local.set $text (call $allocate (local.get $name) (i32.const 1)))
    (memory.init $variables (local.get $text) (local.get $from) (local.get $name))
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (local.get $name))
    (local.set $text (call $allocate (local.get $value) (i32.const 1)))
    (memory.init $variables (local.get $text) (i32.add (local.get $from) (local.get $name)) (local.get $value))
    (i32.store offset=8 (local.get $at) (local.get $text))
    (i32.store offset=12 (local.get $at) (local.get $value))
    (i32.add (local.get $from) (i32.add (local.get $name) (local.get $value))))
  (func (export "wasi:cli/environment@0.2.0#get-environment") (param $result i32)
    (local $at i32) (local $from i32)
    (local.set $at (call $allocate (i32.const 96) (i32.const 4)))
    (i32.store (local.get $result) (local.get $at))
    (i32.store offset=4 (local.get $result) (i32.const 6))
    (local.set $from (call $variable (local.get $at) (i32.const 0) (i32.const 10) (i32.const 7)))
    (local.set $from (call $variable (i32.add (local.get $at) (i32.const 16)) (local.get $from) (i32.const 10) (i32.const 7)))
    (local.set $from (call $variable (i32.add (local.get $at) (i32.const 32)) (local.get $from) (i32.const 14) (i32.const 1)))
    (local.set $from (call $variable (i32.add (local.get $at) (i32.const 48)) (local.get $from) (i32.const 23) (i32.const 1)))
    (local.set $from (call $variable (i32.add (local.get $at) (i32.const 64)) (local.get $from) (i32.const 16) (i32.const 1)))
    (drop (call $variable (i32.add (local.get $at) (i32.const 80)) (local.get $from) (i32.const 10) (i32.const 1))))
  (export "wasi:cli/environment@0.2.0#get-arguments" (func $empty))

  ;; Not random at all.
  (func (export "wasi:random/insecure-seed@0.2.0#insecure-seed") (param $result i32)
    (i64.store (local.get $result) (i64.const 0x6174746f726e2031))
    (i64.store offset=8 (local.get $result) (i64.const 0x6174746f726e2032)))
  (func (export "wasi:random/random@0.2.0#get-random-bytes") (param $bytes i64) (param $result i32)
    (local $at i32)
    {{chance}}
    (local.set $at (call $allocate (i32.wrap_i64 (local.get $bytes)) (i32.const 1)))
    (memory.fill (local.get $at) (i32.const 0x61) (i32.wrap_i64 (local.get $bytes)))
    (i32.store (local.get $result) (local.get $at))
    (i32.store offset=4 (local.get $result) (i32.wrap_i64 (local.get $bytes))))

  ;; No clock: what is beyond every reader's range is an error wherever it is read.
  (func (export "wasi:clocks/wall-clock@0.2.0#now") (param $result i32)
    (i64.store (local.get $result) (i64.const 0x4000000000000000))
    (i32.store offset=8 (local.get $result) (i32.const 0)))
  (func (export "wasi:clocks/wall-clock@0.2.0#resolution") (param $result i32)
    (i64.store (local.get $result) (i64.const 0))
    (i32.store offset=8 (local.get $result) (i32.const 1)))
  (func (export "wasi:clocks/monotonic-clock@0.2.0#now") (result i64) (i64.const -1))
  (func (export "wasi:clocks/monotonic-clock@0.2.0#resolution") (result i64) (i64.const 1))

  ;; What is written is taken and goes nowhere, and there is no terminal.
  (func (export "wasi:cli/stdin@0.2.0#get-stdin") (result i32) (i32.const 1))
  (func (export "wasi:cli/stdout@0.2.0#get-stdout") (result i32) (i32.const 2))
  (func (export "wasi:cli/stderr@0.2.0#get-stderr") (result i32) (i32.const 3))
  (export "wasi:cli/terminal-stdin@0.2.0#get-terminal-stdin" (func $ok))
  (export "wasi:cli/terminal-stdout@0.2.0#get-terminal-stdout" (func $ok))
  (export "wasi:cli/terminal-stderr@0.2.0#get-terminal-stderr" (func $ok))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.check-write") (param i32) (param $result i32)
    (i32.store8 (local.get $result) (i32.const 0))
    (i64.store offset=8 (local.get $result) (i64.const 65536)))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.write") (param i32 i32 i32) (param $result i32)
    (call $ok (local.get $result)))
  (func (export "wasi:io/streams@0.2.0#[method]output-stream.blocking-flush") (param i32) (param $result i32)
    (call $ok (local.get $result)))

  ;; Files. 1 is the directory that is there from the start, 2 the archive.
  (func (export "wasi:filesystem/preopens@0.2.0#get-directories") (param $result i32)
    (local $at i32)
    (local.set $at (call $allocate (i32.const 12) (i32.const 4)))
    (i32.store (local.get $result) (local.get $at))
    (i32.store offset=4 (local.get $result) (i32.const 1))
    (i32.store (local.get $at) (i32.const 1))
    (i32.store offset=4 (local.get $at) (call $allocate (i32.const 1) (i32.const 1)))
    (i32.store offset=8 (local.get $at) (i32.const 1))
    (memory.init $root (i32.load offset=4 (local.get $at)) (i32.const 0) (i32.const 1)))

  ;; 2 for the archive's name below the directory, 1 for the directory's own, 0 for all others.
  (func $find (param $directory i32) (param $path i32) (param $bytes i32) (result i32)
    (if (i32.ne (local.get $directory) (i32.const 1)) (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $bytes) (i32.const 1)) (i32.eq (i32.load8_u (local.get $path)) (i32.const 0x2e)))
      (then (return (i32.const 1))))
    (if (i32.eqz (local.get $bytes)) (then (return (i32.const 1))))
    (if (i32.or (i32.ne (local.get $bytes) (i32.const 6)) (i64.eqz (global.get $archive_bytes)))
      (then (return (i32.const 0))))
    ;; `pyth`, `on`.
    (if (i32.and
          (i32.eq (i32.load align=1 (local.get $path)) (i32.const 0x68747970))
          (i32.eq (i32.load16_u offset=4 align=1 (local.get $path)) (i32.const 0x6e6f)))
      (then (return (i32.const 2))))
    (i32.const 0))

  (func $stat (param $file i32) (param $result i32)
    (if (i32.eqz (local.get $file)) (then (call $no8 (local.get $result) (i32.const 20)) (return)))
    (memory.fill (local.get $result) (i32.const 0) (i32.const 104))
    (i64.store offset=16 (local.get $result) (i64.const 1))
    (if (i32.eq (local.get $file) (i32.const 2))
      (then
        (i32.store8 offset=8 (local.get $result) (i32.const 6))
        (i64.store offset=24 (local.get $result) (global.get $archive_bytes)))
      (else (i32.store8 offset=8 (local.get $result) (i32.const 3)))))
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.stat") (param $file i32) (param $result i32)
    (call $stat (local.get $file) (local.get $result)))
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.stat-at")
    (param $directory i32) (param i32) (param $path i32) (param $bytes i32) (param $result i32)
    (call $stat (call $find (local.get $directory) (local.get $path) (local.get $bytes)) (local.get $result)))

  (func $hash (param $file i32) (param $result i32)
    (if (i32.eqz (local.get $file)) (then (call $no8 (local.get $result) (i32.const 20)) (return)))
    (call $ok (local.get $result))
    (i64.store offset=8 (local.get $result) (i64.extend_i32_u (local.get $file)))
    (i64.store offset=16 (local.get $result) (i64.const 0)))
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.metadata-hash") (param $file i32) (param $result i32)
    (call $hash (local.get $file) (local.get $result)))
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.metadata-hash-at")
    (param $directory i32) (param i32) (param $path i32) (param $bytes i32) (param $result i32)
    (call $hash (call $find (local.get $directory) (local.get $path) (local.get $bytes)) (local.get $result)))

  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.get-type") (param $file i32) (param $result i32)
    (call $ok (local.get $result))
    (i32.store8 offset=1 (local.get $result)
      (select (i32.const 6) (i32.const 3) (i32.eq (local.get $file) (i32.const 2)))))
  ;; To be read.
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.get-flags") (param $file i32) (param $result i32)
    (call $ok (local.get $result))
    (i32.store8 offset=1 (local.get $result) (i32.const 1)))
  ;; With flags, something would be made or made empty.
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.open-at")
    (param $directory i32) (param i32) (param $path i32) (param $bytes i32) (param $open i32) (param $access i32)
    (param $result i32)
    (local $file i32)
    (local.set $file (call $find (local.get $directory) (local.get $path) (local.get $bytes)))
    (if (i32.and (local.get $access) (i32.const 2))
      (then (call $no4 (local.get $result) (i32.const 33)) (return)))
    (if (i32.eqz (local.get $file)) (then (call $no4 (local.get $result) (i32.const 20)) (return)))
    (call $ok (local.get $result))
    (i32.store offset=4 (local.get $result) (local.get $file)))

  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.read-via-stream")
    (param $file i32) (param $from i64) (param $result i32)
    (local $stream i32)
    (if (i32.ne (local.get $file) (i32.const 2)) (then (call $no4 (local.get $result) (i32.const 14)) (return)))
    (local.set $stream (i32.and (global.get $streams) (i32.const 15)))
    (global.set $streams (i32.add (global.get $streams) (i32.const 1)))
    (i64.store (i32.add (global.get $base) (i32.shl (local.get $stream) (i32.const 3))) (local.get $from))
    (call $ok (local.get $result))
    (i32.store offset=4 (local.get $result) (i32.add (local.get $stream) (i32.const 16))))
  (func $read (param $stream i32) (param $bytes i64) (param $result i32)
    (local $place i32) (local $from i64) (local $left i64) (local $at i32)
    (if (i32.lt_u (local.get $stream) (i32.const 16)) (then (call $closed (local.get $result)) (return)))
    (local.set $place
      (i32.add (global.get $base) (i32.shl (i32.sub (local.get $stream) (i32.const 16)) (i32.const 3))))
    (local.set $from (i64.load (local.get $place)))
    (if (i64.ge_u (local.get $from) (global.get $archive_bytes)) (then (call $closed (local.get $result)) (return)))
    (local.set $left (i64.sub (global.get $archive_bytes) (local.get $from)))
    (if (i64.gt_u (local.get $bytes) (local.get $left)) (then (local.set $bytes (local.get $left))))
    (if (i64.gt_u (local.get $bytes) (i64.const 0x100000)) (then (local.set $bytes (i64.const 0x100000))))
    (local.set $at (call $allocate (i32.wrap_i64 (local.get $bytes)) (i32.const 1)))
    (memory.init $archive
      (local.get $at) (i32.wrap_i64 (local.get $from)) (i32.wrap_i64 (local.get $bytes)))
    (i64.store (local.get $place) (i64.add (local.get $from) (local.get $bytes)))
    (call $ok (local.get $result))
    (i32.store offset=4 (local.get $result) (local.get $at))
    (i32.store offset=8 (local.get $result) (i32.wrap_i64 (local.get $bytes))))
  (func $closed (param $result i32)
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store8 offset=4 (local.get $result) (i32.const 1)))
  (export "wasi:io/streams@0.2.0#[method]input-stream.read" (func $read))
  (export "wasi:io/streams@0.2.0#[method]input-stream.blocking-read" (func $read))

  ;; Nothing is listed, no link leads anywhere, nothing changes: not supported, invalid, read-only.
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.read-directory") (param i32) (param $result i32)
    (call $no4 (local.get $result) (i32.const 27)))
  (func (export "wasi:filesystem/types@0.2.0#[method]descriptor.readlink-at")
    (param $directory i32) (param $path i32) (param $bytes i32) (param $result i32)
    (call $no4 (local.get $result)
      (select (i32.const 12) (i32.const 20) (call $find (local.get $directory) (local.get $path) (local.get $bytes)))))
  (func $read_only3 (param i32 i32 i32) (param $result i32) (call $no1 (local.get $result) (i32.const 33)))
  (export "wasi:filesystem/types@0.2.0#[method]descriptor.create-directory-at" (func $read_only3))
  (export "wasi:filesystem/types@0.2.0#[method]descriptor.remove-directory-at" (func $read_only3))
  (export "wasi:filesystem/types@0.2.0#[method]descriptor.unlink-file-at" (func $read_only3))

  ;; No network: not supported.
  (func $unsupported (param i32) (param $result i32) (call $no4 (local.get $result) (i32.const 2)))
  (export "wasi:sockets/tcp-create-socket@0.2.0#create-tcp-socket" (func $unsupported))
  (export "wasi:sockets/udp-create-socket@0.2.0#create-udp-socket" (func $unsupported))

  (export "wasi:io/error@0.2.0#[resource-drop]error" (func $dropped))
  (export "wasi:io/poll@0.2.0#[resource-drop]pollable" (func $dropped))
  (export "wasi:io/streams@0.2.0#[resource-drop]input-stream" (func $dropped))
  (export "wasi:io/streams@0.2.0#[resource-drop]output-stream" (func $dropped))
  (export "wasi:cli/terminal-input@0.2.0#[resource-drop]terminal-input" (func $dropped))
  (export "wasi:cli/terminal-output@0.2.0#[resource-drop]terminal-output" (func $dropped))
  (export "wasi:filesystem/types@0.2.0#[resource-drop]descriptor" (func $dropped))
  (export "wasi:filesystem/types@0.2.0#[resource-drop]directory-entry-stream" (func $dropped))

  ;; No library is loaded later.
  (func (export "dlopen") (param i32 i32) (result i32) (i32.const 0))
  (func (export "dlsym") (param i32 i32) (result i32) (i32.const 0))
  (func (export "dlerror") (result i32) (i32.const 0))
  (func (export "wasi_snapshot_preview1#reset_adapter_state"))

  ;; By this it is found, when it is replaced.
  (func (export "attorn:system")))
