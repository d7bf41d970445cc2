//! What is not loaded, at which step, and with which words.

use std::time::{Duration, Instant};

use attorn_core::PolicyLimits;
use attorn_engine::{Activation, COMPONENT_BYTES_MAX, Engine, LoadError, LoadStep, SETTINGS_BYTES_MAX};

use crate::kit::{Guest, Image, LOOP, MEMORY_BOMB, NO_SNAPSHOT, PATIENT, engine, load, load_bytes, words};

#[track_caller]
fn refused(loaded: Result<attorn_engine::LoadedPolicy, LoadError>, step: LoadStep, message: &str) -> LoadError {
    let error = loaded.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.step()), (message, step));
    assert!(!error.is_settings());
    error
}

#[track_caller]
fn refused_at(engine: &Engine, guest: &Guest, step: LoadStep, problem: &str) -> LoadError {
    let message = format!("the component failed the step `{step}`: {problem}");
    refused(load(engine, guest, PATIENT), step, &message)
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn what_is_no_component_is_refused() {
    let engine = engine();
    let check = |bytes: &[u8], problem: &str| {
        let message = format!("the component failed the step `parse`: {problem}");
        let error = refused(load_bytes(&engine, bytes, PATIENT), LoadStep::Parse, &message);
        assert!(error.help().unwrap().starts_with("build a component: "));
    };
    check(&component("(module)"), "this is a core WebAssembly module, not a component");
    check(b"", "it does not begin as WebAssembly does");
    check(b"#!/bin/sh\n", "it does not begin as WebAssembly does");
    let error = load_bytes(&engine, b"\0asm\x09\0\x09\0", PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Parse, "{error}");
}

#[test]
fn a_truncated_component_is_refused() {
    let engine = engine();
    let bytes = Guest::allow().build();
    let export = bytes.windows(20).rposition(|window| window == b"attorn:policy/policy").unwrap();
    // What comes after its last export is for debuggers, and nobody misses it.
    for length in (0..export).step_by(7).chain(export - 16..export) {
        let error = load_bytes(&engine, &bytes[..length], PATIENT).unwrap_err();
        assert!(error.step() <= LoadStep::Compile, "{length}: {error}");
    }
}

#[test]
fn imports_other_than_the_log_are_refused_and_named() {
    let engine = engine();
    let check = |import: &str, help: &str| {
        let bytes = component(&format!(r#"(component (import "{import}" (instance)))"#));
        let message = format!("the component failed the step `imports`: it imports `{import}`");
        let error = refused(load_bytes(&engine, &bytes, PATIENT), LoadStep::Imports, &message);
        assert!(error.help().unwrap().contains(help), "{:?}", error.help());
    };
    check("wasi:clocks/wall-clock@0.2.6", "policies have no clock");
    check("wasi:cli/environment@0.3.0", "WASI stubbed out");
    check("attorn:policy/log@0.2.0", "version 0.1.0");
    check("attorn:policy/store@0.1.0", "version 0.1.0");
    check("acme:http/client", "the only interface");
}

#[test]
fn an_import_of_the_right_name_and_the_wrong_type_is_refused() {
    let text = r#"(component
        (import "attorn:policy/log@0.1.0" (instance (export "read" (func (result string)))))
        (instance $i)
        (export "attorn:policy/policy@0.1.0" (instance $i)))"#;
    let error = load_bytes(&engine(), &component(text), PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Link, "{error}");
}

#[test]
fn exports_are_compared_with_the_contract() {
    let engine = engine();
    let message = "the component failed the step `exports`: it does not export `attorn:policy/policy@0.1.0`";
    refused(load_bytes(&engine, &component("(component)"), PATIENT), LoadStep::Exports, message);
    let text = r#"(component (instance $i) (export "attorn:policy/policy@0.2.0" (instance $i)))"#;
    let message = "the component failed the step `exports`: it exports `attorn:policy/policy` in version `0.2.0`, and \
                   only `0.1.0` is supported";
    let error = refused(load_bytes(&engine, &component(text), PATIENT), LoadStep::Exports, message);
    assert!(error.help().is_some());
    let text = r#"(component (instance $i) (export "attorn:policy/policy@0.1.0" (instance $i)))"#;
    let error = load_bytes(&engine, &component(text), PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Link, "{error}");
}

/// Each decision looks at the type of `evaluate` alone, so it is here that all three are compared.
#[test]
fn functions_of_the_right_name_and_the_wrong_type_are_refused() {
    let engine = engine();
    for (words, instead_of) in [
        ("describe: func() -> string", "describe: func() -> description"),
        ("-> result<string, string>", "-> result<requirements, string>"),
        ("-> result<string, string>", "-> result<verdict, string>"),
    ] {
        let bytes = Guest::new().build_for(words, instead_of);
        let Err(LoadError::Refused { step, problem, .. }) = load_bytes(&engine, &bytes, PATIENT) else {
            panic!("`{words}` is taken for `{instead_of}`")
        };
        assert_eq!(step, LoadStep::Describe, "{problem}");
        assert!(problem.contains("failed to convert function to given type"), "{problem}");
    }
}

#[test]
fn a_whole_policy_of_another_version_is_refused_by_its_import() {
    let guest = Guest { contract: "0.2.0", ..Guest::new() };
    refused_at(&engine(), &guest, LoadStep::Imports, "it imports `attorn:policy/log@0.2.0`");
}

#[test]
fn features_outside_the_allow_list_do_not_compile() {
    let engine = engine();
    for field in [
        "(memory $more i64 1)",
        "(memory $shared 1 1 shared)",
        "(tag $t)",
        "(type $s (struct (field i32)))",
        "(table 1 externref)",
        "(func $f (return_call $f))",
        "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))",
    ] {
        let guest = Guest { fields: field.into(), ..Guest::new() };
        let error = load(&engine, &guest, PATIENT).unwrap_err();
        assert_eq!(error.step(), LoadStep::Compile, "{field}: {error}");
        assert!(error.help().is_some());
    }
    // No pool has room for it, and nothing else speaks against it.
    let policy = load(&engine, &Guest { fields: "(memory $more 1)".into(), ..Guest::new() }, PATIENT).unwrap();
    assert_eq!(policy.report().pool, None);
    let simd = "(func (result v128) (i32x4.splat (i32.const 1)))";
    load(&engine, &Guest { fields: simd.into(), ..Guest::new() }, PATIENT).unwrap();
}

#[test]
fn two_components_in_one_work() {
    // The adapter between the two needs a feature that modules of policies have no use for.
    let text = r#"(component
        (component $inner
            (core module $m (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                (func (export "take") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "take") (param "text" string)
                (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")))))
        (component $outer
            (import "take" (func $take (param "text" string)))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $lowered (canon lower (func $take) (memory $memory "memory")))
            (core module $m (import "" "take" (func (param i32 i32))))
            (core instance (instantiate $m (with "" (instance (export "take" (func $lowered)))))))
        (instance $inner (instantiate $inner))
        (instance (instantiate $outer (with "take" (func $inner "take"))))
        (instance $i)
        (export "attorn:policy/policy@0.1.0" (instance $i)))"#;
    let error = load_bytes(&engine(), &component(text), PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Link, "{error}");
}

#[test]
fn what_is_needed_from_the_start_is_compared_with_the_limits() {
    let engine = engine();
    let problem = "a memory begins with 16842752 bytes, and 16777216 is the most";
    let error = refused_at(&engine, &Guest { pages: 257, ..Guest::new() }, LoadStep::Resources, problem);
    assert!(error.help().unwrap().contains("stack"));
    load(&engine, &Guest { pages: 256, ..Guest::new() }, PATIENT).unwrap();
    let guest = Guest { fields: "(table 20001 funcref)".into(), ..Guest::new() };
    // Where there is a pool, its own limit is the first to be met.
    let error = load(&engine, &guest, PATIENT).unwrap_err();
    assert!(matches!(error.step(), LoadStep::Compile | LoadStep::Resources), "{error}");
    let guest = Guest { fields: "(table 101 funcref)".into(), ..Guest::new() };
    let error = load(&engine, &guest, PolicyLimits { table_elements_max: 100, ..PATIENT }).unwrap_err();
    assert_eq!(error.step(), LoadStep::Resources, "{error}");
}

#[test]
fn limits_and_sizes_are_bounded() {
    let engine = engine();
    let guest = Guest::new().build();
    let limits = PolicyLimits { memory_bytes_max: 1 << 40, ..PATIENT };
    let message = "the component failed the step `limits`: `memory_bytes_max` is 1099511627776, and 1 to 134217728 \
                   is possible here";
    refused(load_bytes(&engine, &guest, limits), LoadStep::Limits, message);
    let limits = PolicyLimits { cpu_us_max: 0, ..PATIENT };
    let message = "the component failed the step `limits`: `cpu_us_max` is 0, and 1 to 60000000 is possible here";
    refused(load_bytes(&engine, &guest, limits), LoadStep::Limits, message);
    let message = "the component failed the step `size`: the component has 33554433 bytes, and 33554432 is the most";
    refused(load_bytes(&engine, &vec![0; COMPONENT_BYTES_MAX + 1], PATIENT), LoadStep::Size, message);
    let settings = " ".repeat(SETTINGS_BYTES_MAX + 1);
    let message = "the component failed the step `size`: the settings has 1048577 bytes, and 1048576 is the most";
    refused(engine.load("kit".parse().unwrap(), &guest, &settings, PATIENT), LoadStep::Size, message);
}

#[test]
fn endless_loops_end() {
    let engine = engine();
    let begun = Instant::now();
    let problem = "it used more than 20000 us of CPU time";
    refused_at(&engine, &Guest { describe: LOOP.into(), ..Guest::new() }, LoadStep::Describe, problem);
    // It runs once, so it may take longer than an evaluation.
    let once = "it used more than 2000000 us of CPU time";
    refused_at(&engine, &Guest { init: LOOP.into(), ..Guest::new() }, LoadStep::Init, once);
    let each_time = Guest { init: LOOP.into(), fields: NO_SNAPSHOT.into(), ..Guest::new() };
    refused_at(&engine, &each_time, LoadStep::Init, problem);
    let start = format!("(func $start {LOOP}) (start $start)");
    refused_at(&engine, &Guest { fields: start, ..Guest::new() }, LoadStep::Describe, problem);
    let recursion = "(func $f (call $f)) (start $f)";
    let error = load(&engine, &Guest { fields: recursion.into(), ..Guest::new() }, PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Describe);
    assert!(error.to_string().contains("it trapped: wasm trap: call stack exhausted"), "{error}");
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn memory_bombs_are_defused() {
    let engine = engine();
    let problem = "it asked for more than 16777216 bytes of memory or 20000 table elements";
    refused_at(&engine, &Guest { describe: MEMORY_BOMB.into(), ..Guest::new() }, LoadStep::Describe, problem);
    refused_at(&engine, &Guest { init: MEMORY_BOMB.into(), ..Guest::new() }, LoadStep::Init, problem);
    let guest = Guest {
        init: "(loop $again (drop (table.grow $t (ref.null func) (i32.const 5000))) (br $again)) unreachable".into(),
        fields: "(table $t 1 funcref)".into(),
        ..Guest::new()
    };
    refused_at(&engine, &guest, LoadStep::Init, problem);
}

#[test]
fn answers_that_break_the_contract_are_refused() {
    let engine = engine();
    let mut guest = Guest::new();
    guest.describe = guest.leaving(|_| words(&[1_024, 3, u32::MAX, u32::MAX, 0, 0]));
    let error = load(&engine, &guest, PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Describe);
    assert!(error.to_string().contains("out of bounds"), "{error}");
    let mut guest = Guest::new();
    guest.describe = guest.leaving(|image| [image.string("n"), image.string("v"), image.string("no")].concat());
    refused_at(
        &engine,
        &guest,
        LoadStep::Describe,
        "the settings' schema is no JSON: expected ident at line 1 column 2",
    );
    let mut guest = Guest::new();
    guest.init = guest.leaving(|_| words(&[0, 0, 0, 1_024, 30_000_000, 0, 0]));
    let error = load(&engine, &guest, PATIENT).unwrap_err();
    assert_eq!(error.step(), LoadStep::Init, "{error}");
    let guest = Guest { init: "unreachable".into(), ..Guest::new() };
    let error = load(&engine, &guest, PATIENT).unwrap_err();
    assert!(error.to_string().contains("it trapped: wasm trap: wasm `unreachable` instruction executed"), "{error}");
}

#[test]
fn more_output_than_allowed_is_refused() {
    let mut guest = Guest::new();
    let schema = format!("\"{}\"", "x".repeat(9_000));
    guest.describe = guest.leaving(|image| [image.string("n"), image.string("v"), image.string(&schema)].concat());
    let limits = PolicyLimits { output_bytes_max: 8_000, ..PATIENT };
    let message = "the component failed the step `describe`: it answered more than 8000 bytes";
    refused(load(&engine(), &guest, limits), LoadStep::Describe, message);
}

#[test]
fn requirements_are_checked() {
    let engine = engine();
    let mut guest = Guest::new();
    let requirements = |image: &mut Image, codes: &[&str]| {
        let reason = |code: &&str| [image.string(code), image.string("x"), words(&[0])].concat();
        let reasons: Vec<_> = codes.iter().map(reason).collect();
        [words(&[0, 0, 0]), image.list(&reasons), words(&[0, 0])].concat()
    };
    guest.init = guest.leaving(|image| requirements(image, &["a", "a"]));
    refused_at(&engine, &guest, LoadStep::Requirements, "the reason `a` is declared twice");
    guest.init = guest.leaving(|image| requirements(image, &["A"]));
    let problem = "`A` is no reason code: it may not begin with `A`";
    refused_at(&engine, &guest, LoadStep::Requirements, problem);
}

#[test]
fn rejected_settings_are_told_from_a_bad_component() {
    let mut guest = Guest::new();
    guest.init = guest.error("`max` is missing\u{1b}[2J", 4);
    let error = load(&engine(), &guest, PATIENT).unwrap_err();
    assert!(error.is_settings());
    assert_eq!(error.to_string(), "the policy rejects its settings: `max` is missing\\u{1b}[2J");
    assert!(error.help().is_some());
}

#[test]
fn an_init_that_leaves_too_little_time_is_refused() {
    // About 10 million rounds: more than 2.5 ms and less than 400 ms on anything that runs this.
    let mut guest = Guest::new();
    let answer = guest.init.clone();
    guest.init = format!(
        "(local $n i32) (loop $again (br_if $again (i32.lt_u
           (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000000)))) {answer}"
    );
    let engine = engine();
    let policy = load(&engine, &guest, PATIENT).unwrap();
    assert_eq!(policy.report().activation, Activation::Snapshot, "it runs once and may take its time");
    guest.fields = NO_SNAPSHOT.into();
    let limits = PolicyLimits { cpu_us_max: 1_000_000, ..PATIENT };
    let policy = load(&engine, &guest, limits).unwrap();
    let Activation::InitEachTime { reason } = &policy.report().activation else { panic!("a snapshot was taken") };
    assert!(reason.contains("table.set"), "{reason}");
    assert_eq!(policy.requirements().reasons.len(), 2);
    let error = load(&engine, &guest, PolicyLimits { cpu_us_max: 5_000, ..PATIENT }).unwrap_err();
    assert!(matches!(error.step(), LoadStep::InitTime | LoadStep::Init), "{error}");
}

#[test]
fn a_loaded_policy_says_what_it_is() {
    let engine = engine();
    let bytes = Guest::new().build();
    let policy = load_bytes(&engine, &bytes, PATIENT).unwrap();
    assert_eq!(policy.name().as_str(), "kit");
    assert_eq!(policy.component().as_bytes(), blake3::hash(&bytes).as_bytes());
    let description = policy.description();
    assert_eq!([&description.name, &description.version, &description.settings_schema], ["kit", "1.2.3", "{}"]);
    let reasons = &policy.requirements().reasons;
    assert_eq!(reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["hidden", "shown"]);
    assert_eq!(*policy.limits(), PATIENT);
    let shown = format!("{policy:?} {engine:?}");
    assert!(shown.starts_with("LoadedPolicy { name: PolicyId(kit), component: Digest("), "{shown}");
    assert_eq!(engine.info().evaluator_threads, 2);
}
