//! Going through parsed modules: which rules there are, and what they call.

use regorus::unstable::{Expr, Literal, Module, Query, Ref, Rule, RuleHead, Span};

/// A rule, as far as it stands in one place.
pub(crate) struct Found {
    /// Where it is under `data`, up to the first part that is not fixed.
    pub(crate) path: Vec<String>,
    /// Whether it takes arguments.
    pub(crate) is_function: bool,
    /// Where it is in the text.
    pub(crate) span: Span,
    /// What it calls.
    pub(crate) calls: Vec<Call>,
}

/// A call of a function.
pub(crate) struct Call {
    /// The function, as it is written.
    pub(crate) name: Vec<String>,
    /// Where.
    pub(crate) span: Span,
}

/// All rules of a module.
pub(crate) fn rules(module: &Module) -> Vec<Found> {
    let package = fixed_path(&module.package.refr);
    let mut all = Vec::new();
    for rule in &module.policy {
        let (refr, is_function) = match &**rule {
            Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => (refr, true),
            Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } => (refr, false),
            Rule::Default { refr, args, .. } => (refr, !args.is_empty()),
        };
        let mut path = package.clone();
        path.extend(fixed_path(refr));
        let mut calls = Calls::default();
        calls.of_rule(rule);
        all.push(Found { path, is_function, span: start(refr).clone(), calls: calls.0 });
    }
    all
}

/// The parts of a reference up to the first that is no fixed text.
pub(crate) fn fixed_path(reference: &Expr) -> Vec<String> {
    let mut parts = Vec::new();
    let mut at = reference;
    loop {
        match at {
            Expr::Var { span, .. } => {
                parts.push(Some(span.text().to_owned()));
                break;
            }
            Expr::RefDot { refr, field, .. } => {
                parts.push(Some(field.0.text().to_owned()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                parts.push(match &**index {
                    Expr::String { value, .. } => value.as_string().ok().map(ToString::to_string),
                    _ => None,
                });
                at = refr;
            }
            _ => {
                parts.push(None);
                break;
            }
        }
    }
    parts.into_iter().rev().map_while(|part| part).collect()
}

/// Where a reference begins; its own place is that of its last dot.
fn start(reference: &Expr) -> &Span {
    let mut at = reference;
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at {
        at = refr;
    }
    at.span()
}

/// The calls found so far.
#[derive(Default)]
struct Calls(Vec<Call>);

impl Calls {
    fn of_rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { args, value, .. } => {
                self.of_all(args);
                self.of(value);
            }
            Rule::Spec { head, bodies, .. } => {
                match head {
                    RuleHead::Compr { refr, assign, .. } => {
                        self.of(refr);
                        self.of_all(assign.iter().map(|assign| &assign.value));
                    }
                    RuleHead::Set { refr, key, .. } => {
                        self.of(refr);
                        self.of_all(key);
                    }
                    RuleHead::Func { args, assign, .. } => {
                        self.of_all(args);
                        self.of_all(assign.iter().map(|assign| &assign.value));
                    }
                }
                for body in bodies {
                    self.of_all(body.assign.iter().map(|assign| &assign.value));
                    self.of_query(&body.query);
                }
            }
        }
    }

    fn of_query(&mut self, query: &Query) {
        for statement in &query.stmts {
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection, .. } => {
                    self.of_all(key);
                    self.of(value);
                    self.of(collection);
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.of(expr),
                Literal::Every { domain, query, .. } => {
                    self.of(domain);
                    self.of_query(query);
                }
            }
            // What is put in the place of something; if that is a function, its name alone stands there.
            self.of_all(statement.with_mods.iter().map(|with| &with.r#as));
        }
    }

    fn of_all<'a>(&mut self, expressions: impl IntoIterator<Item = &'a Ref<Expr>>) {
        for expression in expressions {
            self.of(expression);
        }
    }

    /// How deep this goes, `guard.rs` bounds.
    fn of(&mut self, expression: &Expr) {
        match expression {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::Var { .. } => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.of_all(items),
            Expr::Object { fields, .. } => self.of_all(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.of(term);
                self.of_query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.of(key);
                self.of(value);
                self.of_query(query);
            }
            Expr::Call { fcn, params, .. } => {
                self.0.push(Call { name: fixed_path(fcn), span: start(fcn).clone() });
                self.of_all(params);
            }
            Expr::UnaryExpr { expr, .. } => self.of(expr),
            Expr::RefDot { refr, .. } => self.of(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.of(refr);
                self.of(index);
            }
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => {
                self.of(lhs);
                self.of(rhs);
            }
            Expr::Membership { key, value, collection, .. } => {
                self.of_all(key);
                self.of(value);
                self.of(collection);
            }
        }
    }
}
