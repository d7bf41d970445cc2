//! What comes from a database, byte by byte, before anybody reads it: no more than was expected, and no way to sign in
//! that would tell it a password.
//!
//! The library that speaks with databases keeps a message in memory until it is whole, however long it says that it is,
//! and tells the password to whoever asks for it in the clear. A target may be hostile, so neither is left to it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may still come. Whoever asks for something says how long the answer may be.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn of(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// So many from now on.
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| io::Error::other("it says more than was asked for"))
    }
}

/// A connection to a database.
pub(super) struct Bounded<S> {
    stream: S,
    allowance: Allowance,
    /// Where nothing else protects the password.
    sign_in: Option<SignIn>,
}

impl<S> Bounded<S> {
    /// A connection over TLS, which binds the channel: there the library sees to it that the password is proved by
    /// SCRAM and told to nobody.
    pub(super) const fn over_tls(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance, sign_in: None }
    }

    /// A connection on which whoever answers has to know the password's verifier, and is not told the password.
    pub(super) fn plain(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance, sign_in: Some(SignIn::default()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let read = into.filled().get(before..).unwrap_or_default();
        self.allowance.take(read.len())?;
        if let Some(sign_in) = &mut self.sign_in {
            sign_in.see(read)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Reads along what a database says of signing in: PostgreSQL's messages `Authentication…`.
#[derive(Debug, Default)]
struct SignIn {
    /// What has come of the head of a message.
    head: Vec<u8>,
    /// How many bytes of the message are still to come.
    rest: u64,
    /// Whether it has proved that it knows the password's verifier.
    proved: bool,
    done: bool,
}

impl SignIn {
    fn see(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let (false, Some((first, behind))) = (self.done, bytes.split_first()) {
            if self.rest > 0 {
                let skipped = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
                self.rest -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = behind;
            // Type and length; and where it is about signing in, what it asks for.
            if self.head.len() == if self.head.first() == Some(&b'R') { 9 } else { 5 } {
                let head = std::mem::take(&mut self.head);
                self.message(&head)?;
            }
        }
        Ok(())
    }

    fn message(&mut self, head: &[u8]) -> io::Result<()> {
        let number = |at: usize| head.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        // The length counts itself, and not the type.
        let whole = u64::from(number(1).unwrap_or_default()) + 1;
        let rest = whole.checked_sub(head.len() as u64);
        self.rest = rest.ok_or_else(|| io::Error::other("a message is shorter than it can be"))?;
        match (head.first(), number(5)) {
            // SCRAM is offered, goes on, and has ended: by then the library has seen the proof.
            (Some(b'R'), Some(10 | 11)) => {}
            (Some(b'R'), Some(12)) => self.proved = true,
            (Some(b'R'), Some(0)) if self.proved => self.done = true,
            (Some(b'R'), _) => return Err(io::Error::other("it does not sign in by SCRAM-SHA-256 alone")),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn message(kind: u8, code: Option<u32>, body: &[u8]) -> Vec<u8> {
        let code = code.map(u32::to_be_bytes);
        let code = code.as_ref().map_or(&[][..], |code| code);
        let length = u32::try_from(4 + code.len() + body.len()).unwrap();
        [&[kind][..], &length.to_be_bytes(), code, body].concat()
    }

    fn sign_in(code: u32, body: &[u8]) -> Vec<u8> {
        message(b'R', Some(code), body)
    }

    /// However the bytes are cut.
    #[track_caller]
    fn check(said: &[Vec<u8>], refused: bool) {
        let all = said.concat();
        for size in 1..=all.len() {
            let mut seen = SignIn::default();
            let came = all.chunks(size).try_for_each(|chunk| seen.see(chunk));
            assert_eq!(came.is_err(), refused, "in pieces of {size}: {came:?}");
            assert!(refused || seen.done);
        }
    }

    #[test]
    fn only_who_proves_the_verifier_is_signed_in_to() {
        let scram = [sign_in(10, b"SCRAM-SHA-256\0\0"), sign_in(11, b"r=1"), sign_in(12, b"v=1")];
        let with = |last: Vec<u8>| [&scram[..], &[last]].concat();
        check(&with(sign_in(0, b"")), false);
        check(&[&[message(b'N', None, b"R\0\0\0\x08\0\0\0\x03")], &with(sign_in(0, b""))[..]].concat(), false);
        // What comes later is not about signing in.
        check(&[&with(sign_in(0, b""))[..], &[sign_in(3, b"")]].concat(), false);
        for bad in [
            vec![sign_in(3, b"")],
            vec![sign_in(5, b"salt")],
            vec![sign_in(7, b"")],
            vec![sign_in(0, b"")],
            vec![scram[0].clone(), sign_in(0, b"")],
            vec![scram[0].clone(), sign_in(3, b"")],
            with(sign_in(3, b"")),
            vec![message(b'N', None, b"notice"), sign_in(3, b"")],
            vec![vec![b'N', 0, 0, 0, 3], sign_in(3, b"")],
            vec![vec![b'R', 0, 0, 0, 4, 0, 0, 0, 10]],
        ] {
            check(&bad, true);
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_was_expected() {
        let allowance = Allowance::of(4);
        let mut stream = Bounded::over_tls(&b"0123456789abcdef"[..], allowance.clone());
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        assert_eq!(stream.read_exact(&mut four).await.unwrap_err().to_string(), "it says more than was asked for");
        allowance.set(4);
        stream.read_exact(&mut four).await.unwrap();
        assert!(stream.read_exact(&mut four).await.is_err());
    }
}
