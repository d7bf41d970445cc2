//! A refusal, and all that every refusal has: its status and code, the request's id, and that nothing
//! was recorded.

use attorn_api::{Problem, REQUEST_ID_HEADER};

use crate::http::Call;
use crate::world::World;

/// Who sends something wrong.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// A client without credentials.
    Nobody,
    /// The support bot, with a proof.
    Bot,
    /// The service that keeps articles, with a proof.
    Faq,
    /// An operator with this duty.
    Admin,
    /// An operator with this duty.
    Registrar,
    /// An operator with this duty.
    PolicyAdmin,
    /// An operator with this duty.
    Auditor,
}

/// None of these is in any id's alphabet.
pub const TRICKS: [&str; 18] = [
    "*",
    "a*",
    "..",
    "a/../b",
    "../a",
    "a\u{0}b",
    "",
    " ",
    "a b",
    "a\nb",
    "a\tb",
    "\u{430}",    // Cyrillic а
    "a\u{200d}b", // zero-width joiner
    "\u{202e}ba", // right-to-left override
    "\u{ff41}",   // full-width a
    "a\u{301}",   // combining acute
    "\u{1f600}",  // beyond the BMP
    "a%2fb",
];

/// Send it, and check all that every refusal has.
pub async fn refused(world: &World, who: Who, call: Call, status: u16, code: &str) -> Problem {
    let (size, shown) = (world.log_size().await, format!("{} {} {}", call.method, call.path, text(&call.body)));
    let call = call.header(REQUEST_ID_HEADER, "bad-input-1");
    let answer = match who {
        Who::Nobody => world.reach.send(call).await,
        Who::Bot => world.bot.send(call).await,
        Who::Faq => world.faq.send(call).await,
        Who::Admin => world.staff.admin.send(call).await,
        Who::Registrar => world.staff.registrar.send(call).await,
        Who::PolicyAdmin => world.staff.policy_admin.send(call).await,
        Who::Auditor => world.staff.auditor.send(call).await,
    };
    assert_eq!(answer.status, status, "{shown}: {}", answer.text());
    let problem = answer.problem();
    assert_eq!(problem.code.as_str(), code, "{shown}: {problem}");
    assert_eq!(answer.header(REQUEST_ID_HEADER), Some("bad-input-1"), "{shown}");
    assert_eq!(world.log_size().await, size, "{shown}: something was recorded");
    problem
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(200).collect()
}
