//! Makes policy components out of WebAssembly text: three function bodies and static data, laid out as
//! the component model's canonical ABI wants it.

use std::fmt::Write as _;
use std::sync::Arc;

use attorn_core::context::{AuthenticationMethod, Caller, EvaluationContext, Phase};
use attorn_core::{Agent, AgentState, Ceiling, Digest, JsonText, Known, PolicyId, PolicyLimits, Request, TimeMs};
use attorn_engine::{Engine, EngineConfig, Evaluation, LoadError, LoadedPolicy, Question};
use wit_component::{ComponentEncoder, StringEncoding};

/// Where static data begins.
const DATA_AT: u32 = 1_024;

/// Limits under which no slow machine makes an honest policy fail.
pub(crate) const PATIENT: PolicyLimits = PolicyLimits { wall_us_max: 10_000_000, ..PolicyLimits::NATIVE };

/// Static data, and where it will be.
#[derive(Clone)]
pub(crate) struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = DATA_AT + u32::try_from(self.0.len()).unwrap();
        self.0.extend_from_slice(bytes);
        at
    }

    /// Pointer and length of a string.
    pub(crate) fn string(&mut self, text: &str) -> Vec<u8> {
        let at = self.put(text.as_bytes());
        words(&[at, u32::try_from(text.len()).unwrap()])
    }

    /// Pointer and length of a list of records.
    pub(crate) fn list(&mut self, records: &[Vec<u8>]) -> Vec<u8> {
        let at = self.put(&records.concat());
        words(&[at, u32::try_from(records.len()).unwrap()])
    }

    /// A record `reason`.
    pub(crate) fn reason(&mut self, code: &str, text: &str) -> Vec<u8> {
        [self.string(code), self.string(text)].concat()
    }

    /// An empty `terms`.
    pub(crate) fn no_terms() -> Vec<u8> {
        let mut terms = vec![0; 24];
        terms.extend(words(&[0, 0, 0, 0]));
        terms
    }
}

/// Little-endian words.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A component to be.
#[derive(Clone)]
pub(crate) struct Guest {
    /// The body of `describe`; it leaves the address of a description.
    pub(crate) describe: String,
    /// The body of `init` with the settings in `$ptr` and `$len`; it leaves the address of a result.
    pub(crate) init: String,
    /// The body of `evaluate` with the context at `$ctx`; it leaves the address of a result.
    pub(crate) evaluate: String,
    /// More fields of the module.
    pub(crate) fields: String,
    /// Its initial memory, in pages of 64 KiB.
    pub(crate) pages: u32,
    /// The version of the contract that it exports.
    pub(crate) contract: &'static str,
    pub(crate) image: Image,
}

impl Guest {
    /// One that declares the public reason `shown` and the other reason `hidden`, and abstains.
    pub(crate) fn new() -> Self {
        let mut image = Image(Vec::new());
        let strings = [image.string("kit"), image.string("1.2.3"), image.string("{}")].concat();
        let describe = image.put(&strings);
        let declared = [("shown", 1_u32), ("hidden", 0)]
            .map(|(code, public)| [image.string(code), image.string("a reason"), words(&[public])].concat());
        let init = [words(&[0, 0, 0]), image.list(&declared), words(&[0, 0])].concat();
        let init = image.put(&init);
        let mut guest = Self {
            describe: constant(describe),
            init: constant(init),
            evaluate: String::new(),
            fields: String::new(),
            pages: 2,
            contract: "0.1.0-draft",
            image,
        };
        guest.evaluate = guest.verdict(3, |_| Vec::new());
        guest
    }

    /// Set the answer of `evaluate` to a verdict: its case, and what belongs to it.
    pub(crate) fn saying(mut self, case: u32, payload: impl FnOnce(&mut Image) -> Vec<u8>) -> Self {
        self.evaluate = self.verdict(case, payload);
        self
    }

    /// One that allows, on no terms.
    pub(crate) fn allow() -> Self {
        Self::new().saying(0, |_| [Image::no_terms(), words(&[0, 0])].concat())
    }

    /// One that denies with a reason.
    pub(crate) fn deny(code: &str, text: &str) -> Self {
        Self::new().saying(2, |image| {
            let reason = image.reason(code, text);
            image.list(&[reason])
        })
    }

    /// One whose `evaluate` has this body.
    pub(crate) fn evaluating(body: impl Into<String>) -> Self {
        Self { evaluate: body.into(), ..Self::new() }
    }

    /// The body that leaves an `ok` with this verdict.
    pub(crate) fn verdict(&mut self, case: u32, payload: impl FnOnce(&mut Image) -> Vec<u8>) -> String {
        let payload = payload(&mut self.image);
        let mut result = words(&[0, 0, case, 0]);
        result.extend(payload);
        result.resize(result.len().max(64), 0);
        constant(self.image.put(&result))
    }

    /// The body that leaves an `err`. Where its string stands depends on the function: `init`'s result
    /// is aligned to 4 bytes, `evaluate`'s to 8.
    pub(crate) fn error(&mut self, text: &str, align: usize) -> String {
        let mut result = vec![1];
        result.resize(align, 0);
        result.extend(self.image.string(text));
        result.resize(64, 0);
        constant(self.image.put(&result))
    }

    /// The body that leaves these bytes, whatever they mean.
    pub(crate) fn leaving(&mut self, make: impl FnOnce(&mut Image) -> Vec<u8>) -> String {
        let bytes = make(&mut self.image);
        constant(self.image.put(&bytes))
    }

    /// The address and length of a string, for bodies.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let at = self.image.put(text.as_bytes());
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { describe, init, evaluate, fields, pages, contract, image } = self;
        let mut data = String::new();
        for byte in &image.0 {
            write!(data, "\\{byte:02x}").unwrap();
        }
        let heap = DATA_AT + u32::try_from(image.0.len().next_multiple_of(16)).unwrap();
        let policy = format!("attorn:policy/policy@{contract}");
        let module = format!(
            r#"(module
              (import "attorn:policy/log@{contract}" "write" (func $log (param i32 i32 i32)))
              (memory (export "memory") {pages})
              (global $top (mut i32) (i32.const {heap}))
              (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and
                  (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
                  (i32.sub (i32.const 0) (local.get $align))))
                (global.set $top (i32.add (local.get $at) (local.get $size)))
                (local.get $at))
              (func $describe (export "{policy}#describe") (result i32) {describe})
              (func $init (export "{policy}#init") (param $ptr i32) (param $len i32) (result i32) {init})
              (func $evaluate (export "{policy}#evaluate") (param $ctx i32) (result i32) {evaluate})
              {fields}
              (data (i32.const {DATA_AT}) "{data}"))"#
        );
        let mut module = wat::parse_str(module).unwrap();
        let wit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/policy.wit")).unwrap();
        let wit = wit.replace("@0.1.0-draft", &format!("@{contract}"));
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("policy.wit", &wit).unwrap();
        let world = resolve.select_world(&[package], Some("policy-component")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }
}

/// A body that leaves a number.
pub(crate) fn constant(n: u32) -> String {
    format!("(i32.const {n})")
}

/// A body that never ends.
pub(crate) const LOOP: &str = "(loop $again (br $again)) unreachable";
/// A body that asks for memory until it gets none.
pub(crate) const MEMORY_BOMB: &str = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable";

/// A field whose presence keeps a snapshot from being taken.
pub(crate) const NO_SNAPSHOT: &str =
    "(table $written 1 funcref) (func (table.set $written (i32.const 0) (ref.null func)))";

/// A configuration for tests: two threads, and time enough for slow machines.
pub(crate) fn config() -> EngineConfig {
    EngineConfig { evaluator_threads: 2, request_wall_us_max: 60_000_000, ..EngineConfig::for_host().unwrap() }
}

/// An engine of this configuration.
pub(crate) fn engine() -> Engine {
    Engine::new(config()).unwrap()
}

/// Load a guest without settings.
pub(crate) fn load(engine: &Engine, guest: &Guest, limits: PolicyLimits) -> Result<LoadedPolicy, LoadError> {
    load_bytes(engine, &guest.build(), limits)
}

/// Load whatever bytes.
pub(crate) fn load_bytes(engine: &Engine, bytes: &[u8], limits: PolicyLimits) -> Result<LoadedPolicy, LoadError> {
    let name: PolicyId = "kit".parse().unwrap();
    engine.load(name, bytes, "{}", limits)
}

/// Load and evaluate one guest.
pub(crate) async fn evaluate(guest: &Guest, limits: PolicyLimits) -> Evaluation {
    let engine = engine();
    let policy = load(&engine, guest, limits).unwrap();
    engine.evaluate(asked(vec![policy]), context()).await.unwrap().pop().unwrap()
}

/// Questions to policies for which nothing was looked up.
pub(crate) fn asked(policies: Vec<LoadedPolicy>) -> Vec<Question> {
    policies.into_iter().map(|policy| Question { policy, known: Known::default() }).collect()
}

/// Some context.
pub(crate) fn context() -> Arc<EvaluationContext> {
    let digest = Digest::from_bytes([7; 32]);
    let object = JsonText::from_canonical("{}");
    Arc::new(EvaluationContext {
        phase: Phase::Decide,
        time: TimeMs(1_767_323_045_678),
        caller: Caller { method: AuthenticationMethod::Dpop, key_thumbprint: "k".repeat(43).parse().unwrap() },
        instance: "pod-1".parse().unwrap(),
        agent: Agent {
            id: "support-bot".parse().unwrap(),
            owner: "team@example.com".parse().unwrap(),
            labels: [("env".parse().unwrap(), "prod".to_owned())].into(),
            state: AgentState::Active,
            ceiling: Ceiling::default(),
            grant_ms_max: 60_000,
            keys: Vec::new(),
        },
        request: Request {
            action: "account.read".parse().unwrap(),
            resource: "account/42".parse().unwrap(),
            purpose: "support".parse().unwrap(),
            session: None,
            arguments: object.clone(),
            arguments_digest: digest,
            claims: object,
        },
        user: None,
        delegations: Vec::new(),
    })
}
