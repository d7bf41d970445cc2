use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use super::super::forge::{Authority, NOW_S, uri};
use super::*;

const ID: &str = "spiffe://example.org/bot";
const NOW: TimeMs = TimeMs(NOW_S * 1_000);

fn domain() -> TrustDomain {
    "example.org".parse().unwrap()
}

fn verify(chain: &[&[u8]], roots: &[&Authority], now: TimeMs) -> Result<X509Svid, SvidError> {
    let roots: Vec<&[u8]> = roots.iter().map(|root| root.der.as_slice()).collect();
    UnverifiedX509Svid::parse(chain.iter().copied())?.verify(&domain(), &roots, now)
}

#[test]
fn what_the_trust_domain_signed_is_who_it_says() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let svid = root.svid(ID, |_| {});
    let verified = verify(&[&svid], &[&other, &root], NOW).unwrap();
    assert_eq!(verified.spiffe_id().as_str(), ID);
    let thumbprint = BASE64URL_NOPAD.encode(&Sha256::digest(&svid));
    assert_eq!(verified.thumbprint().as_str(), thumbprint);
    // 2026-01-03T00:00:00Z.
    assert_eq!(verified.expires_at(), TimeMs(1_767_398_400_000));
    // Without extended usages, with another kind of name, and over two that sign for the root.
    let below = root.below("below", |params| params.subject_alt_names = vec![uri("spiffe://example.org")]);
    let lowest = below.below("lowest", |_| {});
    let plain = lowest.svid(ID, |params| {
        params.extended_key_usages.clear();
        params.subject_alt_names.push(SanType::DnsName("bot.example.org".try_into().unwrap()));
    });
    verify(&[&plain, &below.der, &lowest.der], &[&root], NOW).unwrap();
}

#[test]
fn each_wrong_field_has_its_code() {
    type Change = fn(&mut CertificateParams);
    let root = Authority::root("root");
    let cases: &[(&str, Change)] = &[
        ("no_uri_san", |params| params.subject_alt_names.clear()),
        ("no_uri_san", |params| {
            params.subject_alt_names = vec![SanType::DnsName("bot.example.org".try_into().unwrap())];
        }),
        ("many_uri_sans", |params| params.subject_alt_names.push(uri("spiffe://example.org/admin"))),
        ("many_uri_sans", |params| params.subject_alt_names.push(uri("https://example.org"))),
        ("many_uri_sans", |params| params.subject_alt_names.push(uri(ID))),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("https://example.org/bot")]),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("spiffe://example.org")]),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("spiffe://example.org/a/../bot")]),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("spiffe://Example.org/bot")]),
        ("foreign_trust_domain", |params| params.subject_alt_names = vec![uri("spiffe://example.net/bot")]),
        ("foreign_trust_domain", |params| params.subject_alt_names = vec![uri("spiffe://a.example.org/bot")]),
        ("ca_certificate", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ("key_usage", |params| params.key_usages.clear()),
        ("key_usage", |params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        ("key_usage", |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        ("key_usage", |params| params.key_usages.push(KeyUsagePurpose::CrlSign)),
        ("key_usage", |params| {
            // For signatures, and not marked as critical.
            params.key_usages.clear();
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80])];
        }),
        ("extended_key_usage", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("expired", |params| params.not_after = date_time_ymd(2026, 1, 2)),
        ("not_yet_valid", |params| params.not_before = date_time_ymd(2026, 1, 3)),
    ];
    for (at, (code, change)) in cases.iter().enumerate() {
        let error = verify(&[&root.svid(ID, change)], &[&root], NOW).unwrap_err();
        assert_eq!(error.code(), *code, "case {at}: {error}");
    }
}

#[test]
fn validity_has_sharp_ends() {
    let root = Authority::root("root");
    let svid = root.svid(ID, |_| {});
    let (begin, end) = (1_767_225_600_000, 1_767_398_400_000);
    let code = |at: u64| verify(&[&svid], &[&root], TimeMs(at)).map_or_else(|error| error.code(), |_| "accepted");
    assert_eq!([begin - 1, begin, end - 1, end].map(code), ["not_yet_valid", "accepted", "accepted", "expired"]);
    assert_eq!([0, u64::MAX].map(code), ["not_yet_valid", "expired"]);
}

#[test]
fn only_its_own_roots_stand_behind_a_chain() {
    let (root, other) = (Authority::root("root"), Authority::root("root"));
    let svid = root.svid(ID, |_| {});
    let code = |chain: &[&[u8]], roots: &[&Authority]| verify(chain, roots, NOW).unwrap_err().code();
    assert_eq!(code(&[&svid], &[]), "untrusted_chain");
    assert_eq!(code(&[&svid], &[&other]), "untrusted_chain");
    // What the client sends makes no root.
    assert_eq!(code(&[&svid, &root.der], &[&other]), "untrusted_chain");
    let (below, foreign) = (
        root.below("below", |_| {}),
        root.below("foreign", |params| params.subject_alt_names = vec![uri("spiffe://example.net")]),
    );
    assert_eq!(code(&[&below.svid(ID, |_| {})], &[&root]), "untrusted_chain");
    assert_eq!(code(&[&foreign.svid(ID, |_| {}), &foreign.der], &[&root]), "foreign_trust_domain");
    let ended = root.below("ended", |params| params.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(code(&[&ended.svid(ID, |_| {}), &ended.der], &[&root]), "expired");
    let leaf_as_signer = root.below("leaf", |params| {
        (params.is_ca, params.key_usages) = (IsCa::NoCa, vec![KeyUsagePurpose::DigitalSignature]);
    });
    assert_eq!(code(&[&leaf_as_signer.svid(ID, |_| {}), &leaf_as_signer.der], &[&root]), "key_usage");
    let no_authority = root.below("none", |params| (params.is_ca, params.key_usages) = (IsCa::NoCa, Vec::new()));
    assert_eq!(code(&[&no_authority.svid(ID, |_| {}), &no_authority.der], &[&root]), "untrusted_chain");
    // A root that has expired vouches for nobody, though the workload's certificate would still be valid.
    let old = Authority::root_with("old", |params| params.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(code(&[&old.svid(ID, |_| {})], &[&old]), "untrusted_chain");
}

#[test]
fn hostile_bytes_are_malformed_and_never_a_panic() {
    let root = Authority::root("root");
    let svid = root.svid(ID, |_| {});
    let parse = |chain: Vec<&[u8]>| UnverifiedX509Svid::parse(chain).map(drop).unwrap_err().code();
    assert_eq!(parse(vec![]), "malformed");
    assert_eq!(parse(vec![b""]), "malformed");
    assert_eq!(parse(vec![&[svid.as_slice(), b"\0"].concat()]), "malformed");
    assert_eq!(parse(vec![&svid; CHAIN_CERTIFICATES_MAX + 1]), "malformed");
    assert_eq!(parse(vec![&svid, &vec![0; CHAIN_BYTES_MAX]]), "malformed");
    for cut in 0..svid.len() {
        assert_eq!(parse(vec![&svid[..cut]]), "malformed", "the first {cut} bytes");
    }
    // Whichever byte is changed, what verifies has the same name.
    for at in 0..svid.len() {
        let mut changed = svid.clone();
        changed[at] ^= 0x20;
        if let Ok(verified) = verify(&[&changed], &[&root], NOW) {
            panic!("byte {at} makes no difference: {verified:?}");
        }
    }
}
