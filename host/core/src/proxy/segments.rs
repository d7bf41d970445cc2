//! Which segments of a path a name in a template stands for.

/// Which segments a name stands for. Of two rows that fit a path, the one whose kind comes first here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Segments {
    /// A number without leading zeros.
    Digits,
    /// A UUID as RFC 9562 prints it: in lower case, with hyphens.
    Uuid,
    /// Lower-case letters and digits, and single hyphens between them.
    Slug,
    /// Any.
    Any,
}

impl Segments {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Digits, Self::Uuid, Self::Slug, Self::Any];

    /// As it stands behind the name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Digits => ":digits",
            Self::Uuid => ":uuid",
            Self::Slug => ":slug",
            Self::Any => "",
        }
    }

    /// Whether this is one of them.
    pub(super) fn has(self, segment: &str) -> bool {
        let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        match self {
            Self::Digits => {
                segment.bytes().all(|b| b.is_ascii_digit()) && (segment == "0" || !segment.starts_with('0'))
            }
            Self::Uuid => {
                let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                let parts = segment.split('-').map(|part| part.bytes().all(hexadecimal).then_some(part.len()));
                parts.eq([8, 4, 4, 4, 12].map(Some))
            }
            Self::Slug => segment.split('-').all(|part| !part.is_empty() && part.bytes().all(small)),
            Self::Any => true,
        }
    }
}
