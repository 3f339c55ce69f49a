//! A connection that is read ahead: few system calls, and what was read can be looked at first.
//!
//! A TLS library asks for four kilobytes at a time, which would be a system call each. What is asked for here is
//! read from the system in as large a piece as has come, and the buffer grows with that: an idle connection
//! keeps a small one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes read at once from a connection that has little to say.
const LEAST: usize = 2 << 10;
/// And from one that has much: four TLS records.
const MOST: usize = 64 << 10;

/// A connection with what was read from it and is not taken yet.
#[derive(Debug)]
pub struct ReadAhead<S> {
    inner: S,
    buffer: Vec<u8>,
    /// What of the buffer is not taken yet.
    start: usize,
    end: usize,
}

impl<S> ReadAhead<S> {
    /// Nothing is read yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// What was read and is not taken yet.
    pub fn peeked(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes the first `len` bytes of that.
    pub fn skip(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Reads more than was [peeked](Self::peeked) at; zero at the end.
    ///
    /// # Errors
    /// The connection's.
    pub async fn peek_more(&mut self) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            self.buffer.resize((self.end * 2).max(LEAST), 0);
        }
        let read = self.inner.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        Ok(read)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            if out.remaining() >= MOST / 2 {
                return Pin::new(&mut this.inner).poll_read(cx, out);
            }
            if this.buffer.is_empty() {
                this.buffer.resize(LEAST, 0);
            }
            let mut buffer = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer))?;
            (this.start, this.end) = (0, buffer.filled().len());
        }
        let len = out.remaining().min(this.end - this.start);
        out.put_slice(&this.buffer[this.start..this.start + len]);
        this.start += len;
        if this.start == this.end && this.end == this.buffer.len() && this.end < MOST {
            // It was filled: there is more to come.
            this.buffer.resize((this.end * 2).clamp(LEAST, MOST), 0);
            (this.start, this.end) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
