//! What Cedar and the interpreter of Rego take by themselves, for the benchmark that sets the plugins against them.
//!
//! An order comes as a line of JSON. Then each line is a number: so many evaluations are made, and the microseconds that
//! one of them took are said on a line, first of all of it, then of what was prepared. Policies, entities and data are
//! read once, before anything is timed. All of it is what a service does for one request: its context or input is read
//! from JSON, and the question asked. Prepared is the question alone.

use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::str::FromStr;
use std::time::Instant;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use regorus::{Engine, Value};
use serde_json::Value as Json;

use crate::AnyError;

/// Answer orders until there are no more lines.
pub(crate) fn serve() -> Result<(), AnyError> {
    let mut lines = io::stdin().lock().lines();
    let order: Json = serde_json::from_str(&lines.next().ok_or("no order came")??)?;
    let mut asked = match (order.get("cedar"), order.get("rego")) {
        (Some(order), None) => Asked::Cedar(Box::new(OfCedar::read(order)?)),
        (None, Some(order)) => Asked::Rego(Box::new(OfRego::read(order)?)),
        _ => return Err("an order is of `cedar` or of `rego`".into()),
    };
    say("ready")?;
    for line in lines {
        let count: u32 = line?.parse()?;
        let mut took = [0.0; 2];
        for (prepared, took) in [false, true].into_iter().zip(&mut took) {
            let started = Instant::now();
            for _ in 0..count {
                asked.once(prepared)?;
            }
            *took = started.elapsed().as_secs_f64() * 1e6 / f64::from(count);
        }
        say(&format!("[{},{}]", took[0], took[1]))?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What is asked.
enum Asked {
    Cedar(Box<OfCedar>),
    Rego(Box<OfRego>),
}

impl Asked {
    /// Ask it, which has to allow.
    fn once(&mut self, prepared: bool) -> Result<(), AnyError> {
        let allowed = match (self, prepared) {
            (Self::Cedar(cedar), true) => cedar.decides(&cedar.request),
            (Self::Cedar(cedar), false) => cedar.decides(&cedar.request()?),
            (Self::Rego(rego), prepared) => rego.decides(prepared)?,
        };
        if black_box(allowed) { Ok(()) } else { Err("it is not allowed".into()) }
    }
}

struct OfCedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    names: [EntityUid; 3],
    context: String,
    request: Request,
}

impl OfCedar {
    fn read(order: &Json) -> Result<Self, AnyError> {
        let policies = PolicySet::from_str(text(order, "policies")?)?;
        let entities = Entities::from_json_value(order["entities"].clone(), None)?;
        let name = |member| Ok::<_, AnyError>(EntityUid::from_str(text(order, member)?)?);
        let names = [name("principal")?, name("action")?, name("resource")?];
        let context = text(order, "context")?.to_owned();
        let request = request(&names, &context)?;
        Ok(Self { authorizer: Authorizer::new(), policies, entities, names, context, request })
    }

    fn request(&self) -> Result<Request, AnyError> {
        request(&self.names, &self.context)
    }

    fn decides(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

fn request([principal, action, resource]: &[EntityUid; 3], context: &str) -> Result<Request, AnyError> {
    let context = Context::from_json_str(context, None)?;
    Ok(Request::new(principal.clone(), action.clone(), resource.clone(), context, None)?)
}

struct OfRego {
    engine: Engine,
    input: String,
    read: Value,
}

impl OfRego {
    fn read(order: &Json) -> Result<Self, AnyError> {
        let mut engine = Engine::new();
        engine.add_policy("order.rego".into(), text(order, "module")?.to_owned())?;
        engine.add_data(order["data"].clone().into())?;
        let input = text(order, "input")?.to_owned();
        let read = Value::from_json_str(&input)?;
        Ok(Self { engine, input, read })
    }

    fn decides(&mut self, prepared: bool) -> Result<bool, AnyError> {
        self.engine.set_input(if prepared { self.read.clone() } else { Value::from_json_str(&self.input)? });
        let allow = self.engine.eval_rule("data.attorn.allow".into())?;
        let deny = self.engine.eval_rule("data.attorn.deny".into())?;
        Ok(allow == Value::Bool(true) && deny.as_set()?.is_empty())
    }
}

fn text<'a>(order: &'a Json, member: &str) -> Result<&'a str, AnyError> {
    order[member].as_str().ok_or_else(|| format!("`{member}` of the order is no text").into())
}
