//! What the interpreter has to be told of the contract: which of the SDK's classes stands for which of its types. They are
//! given in the order in which `wit-dylib` counts them.

use wit_dylib_python::metadata::{Metadata, Type};

/// Where the SDK has them.
const MODULE: &str = "attorn_policy.component";
/// The class whose methods are what is exported, in the module that is started.
const EXPORTS: &str = "Policy";

/// As the interpreter's own `symbols`, in which a variant is its case and what all of them may hold:
///
/// - each function that is exported: it is a plain one (0), of this class, with this name and no third text; and whether it
///   gives nothing (0), a value (1) or a result (2)
/// - resources: module, class
/// - records: module, class, fields
/// - flags: module, class, how many words
/// - tuples: how many parts
/// - variants: module, name, cases: class, and whether something is in it
/// - enums: module, class, how many cases
/// - options: of a value (0), or of an option (1)
/// - results: whether there is a value, and whether there is an error
pub(super) type Symbols = (
    Vec<((u8, String, String, String), u8)>,
    Vec<(String, String)>,
    Vec<(String, String, Vec<String>)>,
    Vec<(String, String, u32)>,
    Vec<u32>,
    Vec<(String, String, Vec<(String, bool)>)>,
    Vec<(String, String, u32)>,
    Vec<u8>,
    Vec<(bool, bool)>,
);

/// The same as a type of WIT.
pub(super) const SYMBOLS: &str = "tuple<\
    list<tuple<tuple<u8, string, string, string>, u8>>, \
    list<tuple<string, string>>, \
    list<tuple<string, string, list<string>>>, \
    list<tuple<string, string, u32>>, \
    list<u32>, \
    list<tuple<string, string, list<tuple<string, bool>>>>, \
    list<tuple<string, string, u32>>, \
    list<u8>, \
    list<tuple<bool, bool>>>";

pub(super) fn symbols(metadata: &Metadata) -> Symbols {
    let own = |name: &str| (MODULE.to_owned(), camel(name));
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let exports = metadata.export_funcs.iter().map(|function| {
        let style = match function.result {
            None => 0,
            Some(Type::Result(_)) => 2,
            Some(_) => 1,
        };
        ((0, EXPORTS.to_owned(), snake(&function.name), String::new()), style)
    });
    let records = metadata.records.iter().map(|record| {
        let (module, name) = own(&record.name);
        (module, name, record.fields.iter().map(|(field, _)| snake(field)).collect())
    });
    let variants = metadata.variants.iter().map(|variant| {
        let (module, name) = own(&variant.name);
        let cases = variant.cases.iter().map(|(case, ty)| (format!("{name}{}", camel(case)), ty.is_some())).collect();
        (module, name, cases)
    });
    let enums = metadata.enums.iter().map(|one| {
        let (module, name) = own(&one.name);
        (module, name, count(one.names.len()))
    });
    let options = metadata.options.iter().map(|option| u8::from(matches!(option.ty, Type::Option(_))));
    (
        exports.collect(),
        metadata.resources.iter().map(|one| own(&one.name)).collect(),
        records.collect(),
        // The contract has none; whoever gives it some says here what they are.
        Vec::new(),
        metadata.tuples.iter().map(|tuple| count(tuple.types.len())).collect(),
        variants.collect(),
        enums.collect(),
        options.collect(),
        metadata.results.iter().map(|one| (one.ok.is_some(), one.err.is_some())).collect(),
    )
}

/// `approval-requirement` as the name of a class.
fn camel(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

/// `approval-requirement` as the name of an attribute.
fn snake(name: &str) -> String {
    name.replace('-', "_")
}
