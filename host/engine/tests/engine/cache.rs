//! What was compiled once is found again, and nothing else is taken for it.

use std::fs;
use std::path::Path;

use attorn_artifact::{Cache, CacheKey, Cancel, Progress};
use attorn_core::PolicyLimits;
use attorn_engine::{Activation, Compiler, Engine, Leftovers, LoadError, LoadRequest, LoadedPolicy};

use crate::kit::{Guest, PATIENT, asked, config, context};

fn engine(directory: &Path, key: u8) -> Engine {
    let key = CacheKey::new(zeroize::Zeroizing::new([key; 32]));
    let cache = Cache::open(directory.join("cache"), key, 64 << 20).unwrap();
    Engine::with_compiler(config(), Compiler { worker: None, cache: Some(cache), leftovers: None }).unwrap()
}

/// A request that differs from the usual one in one thing.
fn request<'a>(component: &'a [u8], settings: &'a str) -> LoadRequest<'a> {
    let (name, limits) = ("kit".parse().unwrap(), PATIENT);
    LoadRequest { name, component, settings, limits, metered: false, without_snapshot: false }
}

fn load(engine: &Engine, request: LoadRequest<'_>) -> Result<LoadedPolicy, LoadError> {
    engine.load_watched(request, &Progress::default(), &Cancel::default())
}

#[track_caller]
fn from_cache(engine: &Engine, request: LoadRequest<'_>, expect: bool) {
    assert_eq!(load(engine, request).unwrap().report().from_cache, expect);
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory.join("cache")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_same_is_compiled_once_and_whatever_differs_is_not_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (Guest::allow().build(), Guest::new().build());
    let first = engine(directory.path(), 7);
    from_cache(&first, request(&one, "{}"), false);
    from_cache(&first, request(&one, "{}"), true);
    let again = engine(directory.path(), 7);
    from_cache(&again, request(&one, "{}"), true);
    from_cache(&again, request(&one, "{\"a\":1}"), false);
    from_cache(&again, request(&other, "{}"), false);
    from_cache(&again, LoadRequest { metered: true, ..request(&one, "{}") }, false);
    from_cache(&again, LoadRequest { without_snapshot: true, ..request(&one, "{}") }, false);
    // What a policy may use bears on no machine code.
    let limits = PolicyLimits { cpu_us_max: 9_000, ..PATIENT };
    from_cache(&again, LoadRequest { limits, ..request(&one, "{}") }, true);
    from_cache(&again, LoadRequest { name: "another".parse().unwrap(), ..request(&one, "{}") }, true);
}

/// Each file is broken, swapped with another, or written under another key. The policy loads all the same,
/// by being compiled, and says what it did before.
#[tokio::test]
async fn a_file_that_is_damaged_foreign_or_swapped_is_compiled_anew() {
    let component = Guest::allow().build();
    let break_all: [fn(&Path); 4] = [
        |directory| {
            for file in files(directory) {
                let mut bytes = fs::read(&file).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(file, bytes).unwrap();
            }
        },
        |directory| {
            for file in files(directory) {
                let bytes = fs::read(&file).unwrap();
                fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
            }
        },
        |directory| {
            let all: Vec<_> =
                files(directory).into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
            for (at, (file, _)) in all.iter().enumerate() {
                fs::write(file, &all[(at + 1) % all.len()].1).unwrap();
            }
        },
        |directory| {
            fs::remove_dir_all(directory.join("cache")).unwrap();
            load(&engine(directory, 8), request(&Guest::allow().build(), "{}")).unwrap();
        },
    ];
    for break_it in break_all {
        let directory = tempfile::tempdir().unwrap();
        from_cache(&engine(directory.path(), 7), request(&component, "{}"), false);
        assert!(files(directory.path()).len() >= 2);
        break_it(directory.path());
        let engine = engine(directory.path(), 7);
        let policy = load(&engine, request(&component, "{}")).unwrap();
        assert!(!policy.report().from_cache);
        let evaluations = engine.evaluate(asked(vec![policy]), context()).await.unwrap();
        assert!(matches!(evaluations[0].outcome, attorn_core::Outcome::Verdict(attorn_core::Verdict::Allow { .. })));
        from_cache(&engine, request(&component, "{}"), true);
    }
}

/// What compiling left is used for other settings, for a start without a snapshot, and after a refusal; what policies
/// say is the same as without.
#[tokio::test]
async fn what_compiling_left_changes_no_outcome() {
    let (component, other) = (Guest::allow().build(), Guest::new().build());
    let leftovers = Some(Leftovers::default());
    let keeps = Engine::with_compiler(config(), Compiler { worker: None, cache: None, leftovers }).unwrap();
    let anew = Engine::with_compiler(config(), Compiler::default()).unwrap();
    for settings in ["{}", r#"{"a":1}"#, r#"{"a":2}"#] {
        for (metered, without_snapshot) in [(false, false), (false, true), (true, false), (true, true)] {
            for component in [&component, &other] {
                let request = || LoadRequest { metered, without_snapshot, ..request(component, settings) };
                let mut outcomes = Vec::new();
                for engine in [&keeps, &anew] {
                    let policy = load(engine, request()).unwrap();
                    assert_eq!(policy.report().activation == Activation::Snapshot, !without_snapshot);
                    let evaluations = engine.evaluate(asked(vec![policy]), context()).await.unwrap();
                    outcomes.push((evaluations[0].outcome.clone(), evaluations[0].usage.fuel));
                }
                assert_eq!(outcomes[0], outcomes[1]);
            }
        }
    }
}

/// Two bytes at the ends of a large memory: a kilobyte of component that would come to as much as lies
/// between them.
#[test]
fn a_small_component_cannot_come_to_much() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path(), 7);
    let wide = Guest {
        pages: 1_000,
        fields: "(data (i32.const 66000) \"x\") (data (i32.const 65400000) \"x\")".into(),
        ..Guest::allow()
    };
    let limits = PolicyLimits { memory_bytes_max: 128 << 20, cpu_us_max: 1_000_000, ..PATIENT };
    let component = wide.build();
    let error = load(&engine, LoadRequest { limits, ..request(&component, "{}") }).unwrap_err();
    assert!(error.to_string().contains("is the most for a component of this size"), "{error}");
    assert_eq!(files(directory.path()).len(), 0, "what was refused is not kept");
}

#[test]
fn what_is_cancelled_while_it_waits_is_not_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path(), 7);
    let cancel = Cancel::default();
    cancel.cancel();
    let component = Guest::allow().build();
    let error = engine.load_watched(request(&component, "{}"), &Progress::default(), &cancel).unwrap_err();
    assert_eq!(error, LoadError::Cancelled);
    assert_eq!(files(directory.path()).len(), 0);
}
