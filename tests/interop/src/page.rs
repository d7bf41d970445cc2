//! A browser for the approval page: it follows links, keeps cookies, and sends the forms that it is shown. It runs nothing.

use std::collections::BTreeMap;

use attorn_tests::{Answer, Call, Reach};

/// How often it goes where it is sent.
const STEPS_MAX: usize = 20;

/// The cookies, by server and name.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    /// Follow the link of an approval, sign in where that leads with this name and password, and consent; what is shown at
    /// the end.
    pub(crate) async fn sign_in(&mut self, url: &str, (name, password): (&str, &str)) -> Answer {
        let (mut at, mut shown) = self.go(url, None).await;
        for _ in 0..STEPS_MAX {
            let text = shown.text();
            let filled = if text.contains("id=\"login\"") {
                vec![("login", name), ("password", password), ("answer", "yes")]
            } else if text.contains("id=\"consent\"") {
                vec![("answer", "yes")]
            } else {
                return shown;
            };
            (at, shown) = self.go(&at, Some(&filled)).await;
        }
        panic!("the provider asks on and on: {}", shown.text());
    }

    /// Send the form of a page back to where it came from, filled in so.
    pub(crate) async fn send(&mut self, url: &str, page: &str, filled: &[(&str, &str)]) -> Answer {
        let hidden = hidden(page);
        let all: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.go(url, Some(&[&all, filled].concat())).await.1
    }

    /// Go there, with a form or without, and wherever that leads; where it ended, and what is there.
    async fn go(&mut self, url: &str, form: Option<&[(&str, &str)]>) -> (String, Answer) {
        let (mut url, mut form) = (url.to_owned(), form);
        for _ in 0..STEPS_MAX {
            let answer = self.once(&url, form.take()).await;
            let Some(location) = answer.header("location").filter(|_| (300..400).contains(&answer.status)) else {
                return (url, answer);
            };
            url = if location.starts_with('/') { format!("{}{location}", server(&url)) } else { location.to_owned() };
        }
        panic!("`{url}` leads on and on");
    }

    async fn once(&mut self, url: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let server = server(url);
        let path = &url[server.len()..];
        let call = match form {
            None => Call::get(path),
            Some(form) => {
                let encoded: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
                Call::new("POST", path).body("application/x-www-form-urlencoded", encoded.join("&"))
            }
        };
        let own = self.cookies.iter().filter(|((other, _), _)| *other == server);
        let cookies: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let call = if cookies.is_empty() { call } else { call.header("cookie", cookies.join("; ")) };
        let answer = Reach::new(&server).still().send(call).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            let place = (server.clone(), name.to_owned());
            match value {
                "" => drop(self.cookies.remove(&place)),
                value => drop(self.cookies.insert(place, value.to_owned())),
            }
        }
        answer
    }
}

/// Scheme, host and port of a URL.
fn server(url: &str) -> String {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| after + at);
    url[..end].to_owned()
}

fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The hidden fields of a page.
fn hidden(page: &str) -> Vec<(String, String)> {
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1);
    let field = |field: &str| {
        let mut parts = field.split('"');
        let (name, value) = (parts.next()?, parts.nth(1)?);
        Some((name.to_owned(), value.to_owned()))
    };
    fields.filter_map(field).collect()
}
