//! What stands on the pages: text, and one form. Every text is escaped where it is put in, by `maud`, and what agents and
//! policies wrote has everything visible before that (`content::shown`).
//!
//! There is no script and no picture, and nothing that comes from elsewhere.

use attorn_api::approvals::{Asked, AskedCredential, AskedDebit, Follows, Group, Wanted};
use attorn_api::{Problem, ProblemCode};
use attorn_core::{ApprovalState, Say, TimeMs};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// How pages look.
pub(super) const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;\
color:#111;background:#fff}dt{font-weight:bold;margin-top:.6rem}dd{margin:0}dd,pre{overflow-wrap:anywhere}\
pre{white-space:pre-wrap;border:1px solid #767676;padding:.6rem}.code{font:bold 2rem monospace}\
.cut,.note{border-left:.3rem solid #b00020;padding-left:.6rem}button{font:inherit;padding:.6rem 1.2rem;\
margin:1rem 1rem 0 0}";

/// Who reads a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The user on whose behalf it is asked.
    User,
    /// Somebody of a group that is asked.
    Member,
}

/// An approval as those see it who are asked.
pub(super) struct Sheet<'a> {
    pub(super) code: &'a str,
    pub(super) agent: &'a str,
    pub(super) asked: &'a Asked,
    pub(super) reader: Reader,
    /// Who is asked.
    pub(super) wanted: Vec<Wanted>,
    pub(super) standing: Standing,
    pub(super) expires_at: TimeMs,
    /// Whether somebody tried to vote who could not any more.
    pub(super) in_vain: bool,
}

/// The form, where there is something to answer.
pub(super) struct Form<'a> {
    pub(super) action: &'a str,
    pub(super) token: &'a str,
    pub(super) digest: &'a str,
}

/// How far it is for whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// They are asked.
    Asked,
    /// They said yes, and others have not.
    WaitsForOthers,
    /// They said yes, and so did all others.
    Approved,
    /// They said no.
    RefusedByUser,
    /// Somebody else said no.
    RefusedByOther,
    /// Its time is over.
    Lapsed,
    /// It was approved, and the agent was given what it asked for; whether it has used that is not known here.
    Spent,
}

impl Standing {
    /// Of an approval in this state, on which its user said this.
    pub(super) const fn of(state: ApprovalState, said: Option<Say>) -> Self {
        match (state, said) {
            (ApprovalState::Pending | ApprovalState::Approved, None | Some(Say::Refuse)) => Self::Asked,
            (ApprovalState::Pending, Some(Say::Approve)) => Self::WaitsForOthers,
            (ApprovalState::Approved, Some(Say::Approve)) => Self::Approved,
            (ApprovalState::Refused, Some(Say::Refuse)) => Self::RefusedByUser,
            (ApprovalState::Refused, None | Some(Say::Approve)) => Self::RefusedByOther,
            (ApprovalState::Lapsed, _) => Self::Lapsed,
            (ApprovalState::Spent, _) => Self::Spent,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Asked => "An agent asks for your approval",
            Self::WaitsForOthers | Self::Approved => "You have approved this",
            Self::RefusedByUser => "You have refused this",
            Self::RefusedByOther => "This was refused",
            Self::Lapsed => "This has lapsed",
            Self::Spent => "This was approved, and has been used",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Asked => "Read what it is. Your answer is to this alone, and counts once.",
            Self::WaitsForOthers => "Others have to approve it, too.",
            Self::Approved => "The agent can go on now. You may close this page.",
            Self::RefusedByUser => "The agent may not do it. You may close this page.",
            Self::RefusedByOther => "Somebody else who was asked said no, so the agent may not do it.",
            Self::Lapsed => "Its time is over, and nothing follows from it any more. The agent can ask again.",
            Self::Spent => "The agent was given what stands below. It cannot get it again by this approval.",
        }
    }
}

/// The page of an approval.
pub(super) fn sheet(sheet: &Sheet<'_>, form: Option<&Form<'_>>) -> String {
    let Sheet { code, agent, asked, reader, wanted, standing, expires_at, in_vain } = sheet;
    let body = html! {
        @if *in_vain { p.note { "Your answer was not recorded: this was answered before, is over, or would be denied now." } }
        p { (standing.text()) }
        @match reader {
            Reader::User => p { "The agent shows this code. If it shows another, refuse." },
            Reader::Member => p {
                "The agent shows this code to the user. If whoever asked you for this tells you another, refuse."
            },
        }
        p.code { (code) }
        (request(agent, asked, *reader))
        (who_is_asked(wanted, *reader))
        (follows(asked))
        @if let Some(form) = form {
            p { "You can answer until " (expires_at) "." }
            form method="post" action=(form.action) {
                input type="hidden" name="token" value=(form.token);
                input type="hidden" name="digest" value=(form.digest);
                button type="submit" name="say" value="approve" { "Approve exactly this" }
                button type="submit" name="say" value="refuse" { "Refuse" }
            }
        }
    };
    whole(standing.title(), &body)
}

/// All who are asked, because nobody is asked alone who thinks so.
fn who_is_asked(wanted: &[Wanted], reader: Reader) -> Markup {
    let line = |one: &Wanted| match (&one.group, one.role.as_str(), reader) {
        (Some(Group { name, issuer }), _, _) => html! {
            (one.count) @if one.count == 1 { " member" } @else { " members" }
            // What a policy calls a group is told from the words around it.
            " of the group " strong { (name) } " at " (issuer)
        },
        (None, "user", Reader::User) => html! { "You, in whose name it is" },
        (None, "user", Reader::Member) => html! { "The user in whose name it is" },
        (None, _, _) => html! {
            (one.count) @if one.count == 1 { " operator" } @else { " operators" } " of this server"
        },
    };
    html! {
        dl {
            dt { "Who has to approve it" }
            @for one in wanted { dd { (line(one)) } }
        }
    }
}

fn request(agent: &str, asked: &Asked, reader: Reader) -> Markup {
    let in_the_name = match reader {
        Reader::User => "In your name",
        Reader::Member => "In the name of",
    };
    html! {
        dl {
            dt { "Agent" } dd { (agent) }
            dt { "Who answers for it" } dd { (asked.owner) }
            @if !asked.through.is_empty() { dt { "Through" } dd { (asked.through.join(", ")) } }
            @if let Some(user) = &asked.user { dt { (in_the_name) } dd { (user.subject) " at " (user.issuer) } }
            dt { "Purpose" } dd { (asked.purpose) }
            dt { "Action" } dd { (asked.action) }
            dt { "Resource" } dd { (asked.resource) }
            dt { "Arguments" }
            dd {
                pre { (asked.arguments) }
                @if asked.arguments_cut_chars > 0 {
                    p.cut {
                        (asked.arguments_cut_chars) " characters of the arguments are not shown here. "
                        "SHA-256 of all of them: " (asked.arguments_digest)
                    }
                }
            }
            @if asked.claims != "{}" {
                dt { "The agent says" }
                dd {
                    pre { (asked.claims) }
                    p { "Nobody has checked it." }
                    @if asked.claims_cut_chars > 0 {
                        p.cut { (asked.claims_cut_chars) " characters of it are not shown here." }
                    }
                }
            }
            (look_alikes(asked))
            dt { "Why you are asked" }
            dd {
                @for reason in &asked.reasons {
                    p { (reason.text) " (" (reason.code) @if let Some(policy) = &reason.policy { ", policy " (policy) } ")" }
                }
                @if asked.reasons.is_empty() { "A policy wants your approval, and gives no reason." }
            }
        }
    }
}

fn look_alikes(asked: &Asked) -> Markup {
    html! {
        @if !asked.look_alikes.is_empty() {
            dt { "Look twice" }
            dd {
                p.note { "These words have letters that are easily taken for others, or of several alphabets:" }
                @for one in &asked.look_alikes { p.note { (one.word) " is " (one.letters) } }
                @if asked.look_alikes_more > 0 { p.note { "And " (asked.look_alikes_more) " more." } }
            }
        }
    }
}

fn follows(asked: &Asked) -> Markup {
    let Follows { grant_ms_max, uses_max, debits, debits_more } = &asked.follows;
    let given = match asked.credential {
        AskedCredential::Token => "The agent gets a token for this, for",
        AskedCredential::Postgresql => "The agent gets a login in a database, which can do all that its roles may, at",
        AskedCredential::Proxy => "The request goes on to the service, once, as it stands in the arguments, to",
    };
    let charge = |debit: &AskedDebit| {
        format!("{} of {} ({}, {}) is charged", debit.amount, debit.at_most, debit.counter, debit.window)
    };
    html! {
        h2 { "If you approve" }
        p {
            (given) " " (asked.target.as_deref().unwrap_or(&asked.accepted_by)) ". It is good for "
            (grant_ms_max.div_ceil(1_000)) " s and " (uses_max) @if *uses_max == 1 { " use" } @else { " uses" } "."
        }
        @for debit in debits { p { (charge(debit)) } }
        @if *debits_more > 0 { p.cut { (debits_more) " more charges are not shown here." } }
    }
}

/// What is shown in place of an approval.
pub(super) fn problem(problem: &Problem, request_id: &str) -> String {
    let (title, text) = match problem.code {
        // It is the same, whether there is nothing or it is another's.
        ProblemCode::NotFound => ("There is no such approval", "It is not there, is over for long, or is not yours."),
        ProblemCode::UserUnauthenticated => ("You are not signed in", problem.detail.as_str()),
        _ => (problem.title.as_str(), problem.detail.as_str()),
    };
    let body = html! {
        p { (text) }
        @if let Some(help) = &problem.help { p { (help) } }
        @if problem.status >= 500 { p { "Request " (request_id) } }
    };
    whole(title, &body)
}

fn whole(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standing_has_its_own_page() {
        use ApprovalState::{Approved, Lapsed, Pending, Refused, Spent};
        for (state, said, expect) in [
            (Pending, None, Standing::Asked),
            (Approved, None, Standing::Asked),
            (Pending, Some(Say::Approve), Standing::WaitsForOthers),
            (Approved, Some(Say::Approve), Standing::Approved),
            (Refused, Some(Say::Refuse), Standing::RefusedByUser),
            (Refused, Some(Say::Approve), Standing::RefusedByOther),
            (Refused, None, Standing::RefusedByOther),
            (Lapsed, None, Standing::Lapsed),
            (Lapsed, Some(Say::Approve), Standing::Lapsed),
            (Spent, Some(Say::Approve), Standing::Spent),
        ] {
            assert_eq!(Standing::of(state, said), expect, "{state:?} {said:?}");
        }
    }

    #[test]
    fn nothing_of_what_somebody_wrote_is_markup() {
        let problem = Problem::new(ProblemCode::InvalidState, "<b>&\"x\"</b>").with_help("<script>");
        let page = super::problem(&problem, "r-1");
        assert!(page.contains("&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;") && page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("<script"), "{page}");
    }
}
