//! The socket of a client, watched: an answer has to be taken and a head has to arrive in time, and what
//! actix-http answers by itself is put into our form.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep};
use actix_web::web::{Buf, BytesMut, Data};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::below::BareAnswer;
use super::connection::ConnectionState;
use super::drain::OpenConnection;
use super::{HEAD_TIMEOUT, Surface, upgrade};

type Timer = Option<Pin<Box<Sleep>>>;

/// A client's socket as actix-http reads and writes it.
pub(super) struct ClientSocket {
    stream: TcpStream,
    surface: Data<Surface>,
    state: ConnectionState,
    /// Whether the client has ever sent anything.
    heard: bool,
    /// Until when the rest of a head has to arrive, and the requests so far when it began.
    head: Timer,
    requests: u64,
    /// Until when the client has to take what is written.
    taking: Timer,
    /// What is written in place of one of actix-http's own answers.
    own: BytesMut,
}

impl ClientSocket {
    pub(super) fn new(stream: TcpStream, surface: Data<Surface>) -> Self {
        let (state, own) = (ConnectionState::default(), BytesMut::new());
        Self { stream, surface, state, heard: false, head: None, requests: 0, taking: None, own }
    }

    pub(super) fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Counts it as open, for as long as the answer lives.
    pub(super) fn opened(&self) -> OpenConnection {
        self.surface.in_flight.connected()
    }

    /// A request that has come ends the wait for its head. Ready when the time for it is over.
    fn watch_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.requests != self.state.requests() {
            self.requests = self.state.requests();
            self.head = None;
        }
        let Some(timer) = &mut self.head else { return Poll::Pending };
        ready!(timer.as_mut().poll(context));
        self.head = None;
        // While an answer is being taken it may be complete and wait for its turn.
        if self.taking.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The rest of a head has not come. actix-http looks after the first one of a connection only.
    fn refuse_late_head(&mut self) {
        let answer = BareAnswer::to_late_head();
        answer.tell(&self.surface);
        // Nothing else is being written, so there is room for it; where there is not, nobody reads.
        let _ = self.stream.try_write(&answer.in_our_form());
    }

    fn read_something(&mut self, read: &mut [u8]) {
        self.heard = true;
        if !self.state.is_serving() {
            upgrade::ignore(read);
            if self.state.requests() > 0 && begins_a_head(read) {
                self.head = Some(Box::pin(sleep(HEAD_TIMEOUT)));
            }
        }
    }

    /// Writes, within the time that a client has to take it.
    fn write_some(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, bytes) {
            return Poll::Ready(written);
        }
        let time = self.surface.request_timeout;
        let taking = self.taking.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(taking.as_mut().poll(context));
        tracing::info!(durationMs = time.as_secs_f64() * 1e3, "an answer was not taken in time");
        // Closed at once, with what the kernel still holds for it.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read")))
    }

    fn write_own(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.own.is_empty() {
            let own = std::mem::take(&mut self.own);
            let written = self.write_some(context, &own);
            self.own = own;
            self.own.advance(ready!(written)?);
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether what was read is the first part of a head: not the rest of a body that nobody wanted.
fn begins_a_head(read: &[u8]) -> bool {
    read.first().is_some_and(u8::is_ascii_uppercase) && !read.windows(4).any(|four| four == b"\r\n\r\n")
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.watch_head(context).is_ready() {
            this.refuse_late_head();
            // As if the client had ended: the connection does.
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        let read = &mut into.filled_mut()[before..];
        if !read.is_empty() {
            this.read_something(read);
        } else if this.state.is_serving() {
            // It may only have closed its half and still read: nothing on the wire tells, and hardly any
            // client does so. actix-http would go on working for one that is gone.
            return Poll::Ready(Err(Error::new(ErrorKind::ConnectionReset, "the client has gone away")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        ready!(this.write_own(context))?;
        match BareAnswer::find(bytes) {
            Some(answer) if answer.at == 0 => {
                // A connection that was opened and never used has made no request.
                if this.heard {
                    answer.tell(&this.surface);
                }
                this.own.extend_from_slice(&answer.in_our_form());
                Poll::Ready(Ok(bytes.len()))
            }
            Some(answer) => this.write_some(context, &bytes[..answer.at]),
            None => this.write_some(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.write_own(context))?;
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        this.taking = None;
        if this.state.has_refused() {
            return Poll::Ready(Err(Error::new(
                ErrorKind::ConnectionAborted,
                "a request after the last one",
            )));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.write_own(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}
