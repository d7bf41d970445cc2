//! Declares too much, the same twice, and what has no name.

use crate::Variants;
use crate::kit::{Guest, Image, words};

pub(crate) fn make() -> Variants {
    let facts = |names: Vec<String>| {
        declaring(|image| {
            let facts: Vec<_> = names.iter().map(|name| image.string(name)).collect();
            [image.list(&facts), words(&[0; 4])].concat()
        })
    };
    let reasons = |codes: Vec<String>| {
        declaring(|image| {
            let reason = |code: &String| [image.string(code), image.string("x"), words(&[1])].concat();
            let reasons: Vec<_> = codes.iter().map(reason).collect();
            [words(&[0; 2]), image.list(&reasons), words(&[0; 2])].concat()
        })
    };
    let counters = |names: Vec<String>| {
        declaring(|image| {
            let counter = |name: &String| [image.string(name), image.string("x"), words(&[0])].concat();
            let counters: Vec<_> = names.iter().map(counter).collect();
            [words(&[0; 4]), image.list(&counters)].concat()
        })
    };
    let many = |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>();
    vec![
        ("33 facts", facts(many(33))),
        ("65 reasons", reasons(many(65))),
        ("17 counters", counters(many(17))),
        ("a fact twice", facts(vec!["user/{user.id}".into(); 2])),
        ("a reason twice", reasons(vec!["a".into(); 2])),
        ("a counter twice", counters(vec!["a".into(); 2])),
        ("an open brace", facts(vec!["user/{user.id".into()])),
        ("a field within a field", facts(vec!["user/{user.{id}}".into()])),
        ("two fields in a segment", facts(vec!["user/{user.id}{agent.id}".into()])),
        ("a line break in a fact", facts(vec!["a\nb".into()])),
        ("no name of a reason", reasons(vec![String::new()])),
        ("no name of a counter", counters(vec![String::new()])),
    ]
}

fn declaring(make: impl FnOnce(&mut Image) -> Vec<u8>) -> Vec<u8> {
    let mut guest = Guest::new();
    guest.init = guest.leaving(|image| [words(&[0]), make(image)].concat());
    guest.build()
}
