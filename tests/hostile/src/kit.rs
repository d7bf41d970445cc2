//! Makes policy components out of WebAssembly text: three function bodies and static data, laid out as
//! the component model's canonical ABI wants it.

use std::fmt::Write as _;
use std::sync::Arc;

use attorn_core::context::{AuthenticationMethod, Caller, EvaluationContext, Phase};
use attorn_core::{Agent, AgentState, Ceiling, Digest, JsonText, Request, TimeMs};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, WorldId};

use crate::Variants;

/// Where static data begins.
const DATA_AT: u32 = 1_024;

/// Static data, and where it will be.
#[derive(Clone)]
pub struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = DATA_AT + u32::try_from(self.0.len()).unwrap();
        self.0.extend_from_slice(bytes);
        at
    }

    /// Pointer and length of a string.
    pub fn string(&mut self, text: &str) -> Vec<u8> {
        let at = self.put(text.as_bytes());
        words(&[at, u32::try_from(text.len()).unwrap()])
    }

    /// Pointer and length of bytes that should be a string.
    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let at = self.put(bytes);
        words(&[at, u32::try_from(bytes.len()).unwrap()])
    }

    /// Put these bytes, or as many as there is room for, into the last `room` bytes of it.
    pub fn overwrite_end(&mut self, bytes: &[u8], room: usize) {
        let from = self.0.len() - room;
        let count = bytes.len().min(room);
        self.0[from..from + count].copy_from_slice(&bytes[..count]);
    }

    /// Where the next thing will be that is put here.
    pub fn end(&self) -> u32 {
        DATA_AT + u32::try_from(self.0.len().next_multiple_of(8)).unwrap()
    }

    /// Pointer and length of a list of records.
    pub fn list(&mut self, records: &[Vec<u8>]) -> Vec<u8> {
        let at = self.put(&records.concat());
        words(&[at, u32::try_from(records.len()).unwrap()])
    }

    /// A record `reason`.
    pub fn reason(&mut self, code: &str, text: &str) -> Vec<u8> {
        [self.string(code), self.string(text)].concat()
    }

    /// An empty `terms`.
    pub fn no_terms() -> Vec<u8> {
        let mut terms = vec![0; 24];
        terms.extend(words(&[0, 0, 0, 0]));
        terms
    }
}

/// Little-endian words.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A component to be.
#[derive(Clone)]
pub struct Guest {
    /// The body of `describe`; it leaves the address of a description.
    pub describe: String,
    /// The body of `init` with the settings in `$ptr` and `$len`; it leaves the address of a result.
    pub init: String,
    /// The body of `evaluate` with the context at `$ctx`; it leaves the address of a result.
    pub evaluate: String,
    /// The body of `cabi_realloc`, with `$align` and `$size`; it leaves an address.
    pub realloc: String,
    /// More fields of the module.
    pub fields: String,
    /// Its initial memory, in pages of 64 KiB.
    pub pages: u32,
    /// The version of the contract that it exports.
    pub contract: &'static str,
    /// Its static data.
    pub image: Image,
}

impl Guest {
    /// One that declares the public reason `shown` and the other reason `hidden`, and abstains.
    pub fn new() -> Self {
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
            realloc: REALLOC.into(),
            fields: String::new(),
            pages: 2,
            contract: "0.1.0",
            image,
        };
        guest.evaluate = guest.verdict(3, |_| Vec::new());
        guest
    }

    /// Set the answer of `evaluate` to a verdict: its case, and what belongs to it.
    pub fn saying(mut self, case: u32, payload: impl FnOnce(&mut Image) -> Vec<u8>) -> Self {
        self.evaluate = self.verdict(case, payload);
        self
    }

    /// One that allows, on no terms.
    pub fn allow() -> Self {
        Self::new().saying(0, |_| [Image::no_terms(), words(&[0, 0])].concat())
    }

    /// One that denies with a reason.
    pub fn deny(code: &str, text: &str) -> Self {
        Self::new().saying(2, |image| {
            let reason = image.reason(code, text);
            image.list(&[reason])
        })
    }

    /// One whose `evaluate` has this body.
    pub fn evaluating(body: impl Into<String>) -> Self {
        Self { evaluate: body.into(), ..Self::new() }
    }

    /// The body that leaves an `ok` with this verdict.
    pub fn verdict(&mut self, case: u32, payload: impl FnOnce(&mut Image) -> Vec<u8>) -> String {
        let payload = payload(&mut self.image);
        let mut result = words(&[0, 0, case, 0]);
        result.extend(payload);
        result.resize(result.len().max(64), 0);
        constant(self.image.put(&result))
    }

    /// The body that leaves an `err`. Where its string stands depends on the function: `init`'s result
    /// is aligned to 4 bytes, `evaluate`'s to 8.
    pub fn error(&mut self, text: &str, align: usize) -> String {
        let mut result = vec![1];
        result.resize(align, 0);
        result.extend(self.image.string(text));
        result.resize(64, 0);
        constant(self.image.put(&result))
    }

    /// The body that leaves these bytes, whatever they mean.
    pub fn leaving(&mut self, make: impl FnOnce(&mut Image) -> Vec<u8>) -> String {
        let bytes = make(&mut self.image);
        constant(self.image.put(&bytes))
    }

    /// The address and length of a string, for bodies.
    pub fn text(&mut self, text: &str) -> String {
        let at = self.image.put(text.as_bytes());
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// The component, as the only one of its file.
    pub fn alone(&self) -> Variants {
        vec![("", self.build())]
    }

    /// The component.
    pub fn build(&self) -> Vec<u8> {
        self.encode(&self.module())
    }

    /// Its core module, without what makes it a component.
    pub fn module(&self) -> Vec<u8> {
        let Self { describe, init, evaluate, realloc, fields, pages, contract, image } = self;
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
                (local $at i32) {realloc})
              (func $describe (export "{policy}#describe") (result i32) {describe})
              (func $init (export "{policy}#init") (param $ptr i32) (param $len i32) (result i32) {init})
              (func $evaluate (export "{policy}#evaluate") (param $ctx i32) (result i32) {evaluate})
              {fields}
              (data (i32.const {DATA_AT}) "{data}"))"#
        );
        wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}: {module}"))
    }

    /// The component that this module is the inside of.
    pub fn encode(&self, module: &[u8]) -> Vec<u8> {
        encode(module, &contract(self.contract))
    }

    /// The same of a module that may not be fit for it.
    pub fn try_encode(&self, module: &[u8]) -> Option<Vec<u8>> {
        let ((resolve, world), mut module) = (contract(self.contract), module.to_vec());
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).ok()?;
        ComponentEncoder::default().module(&module).ok()?.encode().ok()
    }

    /// The component, as if these words stood in the contract where others do.
    pub fn build_for(&self, words: &str, instead_of: &str) -> Vec<u8> {
        let wit = contract_text();
        assert!(wit.contains(instead_of), "the contract does not say `{instead_of}`");
        encode(&self.module(), &parsed(&wit.replace(instead_of, words)))
    }
}

fn encode(module: &[u8], (resolve, world): &(Resolve, WorldId)) -> Vec<u8> {
    let mut module = module.to_vec();
    wit_component::embed_component_metadata(&mut module, resolve, *world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The contract, as if it were of this version.
pub fn contract(version: &str) -> (Resolve, WorldId) {
    parsed(&contract_text().replace("@0.1.0", &format!("@{version}")))
}

fn contract_text() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/policy.wit")).unwrap()
}

fn parsed(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("policy-component")).unwrap();
    (resolve, world)
}

/// A `cabi_realloc` that never gives anything back.
const REALLOC: &str = "
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (local.get $at)";

/// A component with these fields that exports an interface of the policy's name, and nothing in it.
pub fn component(fields: &str) -> Vec<u8> {
    let text =
        format!(r#"(component {fields} (instance $policy) (export "attorn:policy/policy@0.1.0" (instance $policy)))"#);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A body that leaves a number.
pub fn constant(n: u32) -> String {
    format!("(i32.const {n})")
}

/// A body that never ends.
pub const LOOP: &str = "(loop $again (br $again)) unreachable";
/// A body that asks for memory until it gets none.
pub const MEMORY_BOMB: &str = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable";
/// The function that is called when the host is done with what `evaluate` answered.
pub const POST_EVALUATE: &str = "cabi_post_attorn:policy/policy@0.1.0#evaluate";
/// Bytes that are no UTF-8.
pub const NO_UTF8: &[u8] = &[0xff, 0xfe];
/// What one policy leaves in memory, and another looks for.
pub const MARK: u8 = 0xa7;

/// Some context.
pub fn context() -> Arc<EvaluationContext> {
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
            revocations: 0,
            identities: Vec::new(),
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
        credential: None,
        user: None,
        delegations: Vec::new(),
        approvals: Vec::new(),
    })
}
