//! What the interpreter has to be told of the contract: which of the SDK's classes stands for which of its types. They are
//! given in the order in which `wit-dylib` counts them.

use wit_dylib_python::Metadata;
use wit_parser_python::{Resolve, Type, TypeDefKind};

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

pub(super) fn symbols(resolve: &Resolve, metadata: &Metadata) -> Symbols {
    let own = |name: &str| (MODULE.to_owned(), camel(name));
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let exports = metadata.export_funcs.iter().map(|function| {
        let style = match result(resolve, &function.name) {
            None => 0,
            Some(ty) if matches!(kind(resolve, ty), Some(TypeDefKind::Result(_))) => 2,
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
    let options = metadata.options.iter().map(|option| {
        let within = match resolve.types[option.id].kind {
            TypeDefKind::Option(ty) => kind(resolve, ty),
            _ => None,
        };
        u8::from(matches!(within, Some(TypeDefKind::Option(_))))
    });
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

/// What a function of the contract gives. No two of them have the same name.
fn result(resolve: &Resolve, function: &str) -> Option<Type> {
    resolve.interfaces.iter().find_map(|(_, interface)| interface.functions.get(function))?.result
}

/// What a type is, if it is no plain one.
fn kind(resolve: &Resolve, ty: Type) -> Option<&TypeDefKind> {
    match ty {
        Type::Id(id) => Some(&resolve.types[id].kind),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::brought::tests::root;

    #[test]
    fn names_are_those_of_the_sdk() {
        assert_eq!(
            (camel("approval-requirement"), snake("approval-requirement")),
            ("ApprovalRequirement".into(), "approval_requirement".into())
        );
    }

    #[test]
    fn each_type_of_the_contract_is_a_class_of_the_sdk() {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", include_str!("../../../../../wit/policy.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("policy-component")).unwrap();
        let (_, metadata) = wit_dylib_python::create_with_metadata(&resolve, world, None);
        let (exports, resources, records, _, tuples, variants, enums, options, results) = symbols(&resolve, &metadata);
        let styles: Vec<_> =
            exports.iter().map(|((_, class, name, _), style)| format!("{class}.{name} {style}")).collect();
        assert_eq!(styles, ["Policy.describe 1", "Policy.init 2", "Policy.evaluate 2"]);
        // Whoever gives the contract these has to look at what they are in the SDK.
        assert!(resources.is_empty() && metadata.flags.is_empty());
        assert!(tuples.iter().all(|parts| *parts == 2) && options.iter().all(|nested| *nested == 0));
        assert!(results.iter().all(|both| *both == (true, true)));
        assert_eq!(metadata.import_funcs.len(), 1, "the log has the number 0 in the SDK");

        let sdk = root().join("sdk/policy/python/src/attorn_policy");
        let text = ["contract.py", "context.py"].map(|name| std::fs::read_to_string(sdk.join(name)).unwrap()).concat();
        for (_, name, fields) in &records {
            let (_, class) = text.split_once(&format!("\nclass {name}:\n")).unwrap_or_else(|| panic!("no `{name}`"));
            let class = class.split("\n\n\n").next().unwrap();
            let written = class.lines().filter_map(|line| Some(line.strip_prefix("    ")?.split_once(": ")?.0));
            let is_name = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let written: Vec<_> = written.filter(is_name).collect();
            assert_eq!(&written, fields, "{name}");
        }
        for (_, name, cases) in &variants {
            assert_eq!(name, "Verdict");
            for (case, _) in cases {
                assert!(text.contains(&format!("\nclass {case}:\n")), "{case}");
            }
        }
        for one in &metadata.enums {
            let (_, class) = text.split_once(&format!("\nclass {}(Enum):\n", camel(&one.name))).unwrap();
            let cases =
                one.names.iter().enumerate().map(|(at, case)| format!("    {} = {at}\n", snake(case).to_uppercase()));
            assert!(class.contains(&cases.collect::<String>()), "{}", one.name);
        }
        assert_eq!(enums.len(), metadata.enums.len());
    }
}
